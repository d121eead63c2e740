//! Patterns, what they match, and what Java's `Pattern` says of those that are none.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(pattern: &str, matching: &[&str], others: &[&str]) {
    let compiled = compile(pattern).unwrap_or_else(|error| panic!("{pattern}: {error}"));
    for text in matching {
        assert!(compiled.regex.is_match(text).unwrap(), "{pattern} {text:?}");
    }
    for text in others {
        assert!(
            !compiled.regex.is_match(text).unwrap(),
            "{pattern} {text:?}"
        );
    }
}

#[test]
fn whole_texts_are_matched() {
    check("a.*", &["a", "abc"], &["ba", "xa"]);
    check("a|bc", &["a", "bc"], &["abc", "ac"]);
    check(
        "public/default/(a|b)-[0-9]+",
        &["public/default/b-17"],
        &["public/default/c-1"],
    );
    check("^a$", &["a"], &["aa"]);
    check("", &[""], &["a"]);
}

#[test]
fn classes_of_letters_are_asciis() {
    check(r"\w+", &["aZ0_"], &["ä", "a-b"]);
    check(r"\d", &["7"], &["٧"]);
    check(r"\D", &["٧", "a"], &["7"]);
    check(r"[\w-]+", &["a-b"], &["ä"]);
    check(r"[^\W]", &["a"], &["-", "ä"]);
    check(r"\s\S", &[" x", "\u{b}x"], &["\u{a0}x", "  "]);
    check(r"\p{Lower}\P{Lower}", &["aA", "aä"], &["äA", "ab"]);
    check(r"[\p{Alpha}\p{Digit}]", &["a", "1"], &["ä", "-"]);
    check(r"\p{Punct}+", &[r"!-/:@[\]^_`{|}~"], &["a", " "]);
    check(
        r"\p{L}\pL\p{IsGreek}\p{Lu}\p{script=Latin}",
        &["äbαAx"],
        &["1bαAx"],
    );
    check(r"\h\v\R", &["\u{a0}\n\r\n"], &["a\n\n"]);
}

#[test]
fn what_quotes_and_what_is_quoted() {
    check(r"\Qa.b*\E+", &["a.b*", "a.b***"], &["axb*"]);
    check(r"\Q\w", &[r"\w"], &["a"]);
    check(r"a\.b\-c\/d\_\<e\>", &["a.b-c/d_<e>"], &["axb-c/d_<e>"]);
    check("a<b>#c~d&e}f]", &["a<b>#c~d&e}f]"], &["a"]);
    check(r"\x41\x{42}\u0043\0104\cA\e", &["ABCD\u{1}\u{1b}"], &["A"]);
    check("ä+\\é", &["ääé"], &["a"]);
}

#[test]
fn brackets() {
    check("[]a]+", &["]a"], &["b"]);
    check("[^]a]", &["b"], &["]", "a"]);
    check("[a-c[x-z]]+", &["axbz"], &["m"]);
    check("[a-z&&[^b]]", &["a"], &["b"]);
    check("[+--]", &["+", ",", "-"], &["a"]);
    check("[-a]+[a-]+", &["-a-"], &["b"]);
    check("[~~&#^.]+", &["~&#^."], &["a"]);
    check(r"[\]\[\-\\]+", &[r"]-[\"], &["a"]);
    check(r"[\d-x]+", &["1-x"], &["a"]);
}

#[test]
fn what_only_a_backtracking_engine_can() {
    check("(?!b).*", &["abc"], &["bc"]);
    check("(?=a).*(?<=c)", &["abc"], &["ab"]);
    check(r"(\w)\1", &["aa"], &["ab"]);
    check(r"(?<x>a|b)-\k<x>", &["a-a", "b-b"], &["a-b"]);
    check(r"(a)\10", &["aa0"], &["a"]);
    check("(?>a+)b", &["aab"], &["aa"]);
    check("a*+b", &["aab"], &["aa"]);
    check("a{2}+b?+", &["aab"], &["ab"]);
}

#[test]
fn flags_and_repetitions() {
    check("(?i)ab", &["AB", "aB"], &["b"]);
    check("a(?i:b)", &["aB"], &["AB"]);
    check("(?i-s)(?d)(?u:x)", &["X"], &["y"]);
    check("a{2,3}b{1,}c{2}?", &["aabbcc"], &["abcc", "aaaabcc"]);
    check("a+?b*?", &["aab"], &["b"]);
}

#[test]
fn common_ones_are_known() {
    for pattern in [
        "public/default/a.*",
        r"a[b-d]+(x|y)?\d\w\.",
        r"\Qa.b\E",
        "(?i)a{2}",
    ] {
        assert!(compile(pattern).unwrap().is_common, "{pattern}");
    }
    for pattern in [
        r"\s",
        "(?!a)b",
        "a++",
        "[a[b]]",
        r"(a)\1",
        r"\h",
        r"\p{Lower}",
    ] {
        assert!(!compile(pattern).unwrap().is_common, "{pattern}");
    }
}

/// As `Pattern.compile` of Java 17 says it.
#[test]
fn what_is_no_pattern() {
    for (pattern, text) in [
        ("a(", "Unclosed group near index 2\na("),
        ("a)", "Unmatched closing ')' near index 0\na)\n^"),
        ("[a-z", "Unclosed character class near index 3\n[a-z\n   ^"),
        ("a**", "Dangling meta character '*' near index 2\na**\n  ^"),
        ("*", "Dangling meta character '*' near index 0\n*\n^"),
        ("a{,3}", "Illegal repetition near index 2\na{,3}\n  ^"),
        (
            r"\y",
            "Illegal/unsupported escape sequence near index 1\n\\y\n ^",
        ),
    ] {
        assert_eq!(compile(pattern).unwrap_err(), text, "{pattern}");
    }
}

#[test]
fn what_is_not_supported_is_said() {
    for pattern in [
        r"\X",
        r"\p{InGreek}",
        r"\p{javaLowerCase}",
        "(?x)a",
        "(?U)a",
        "(?<=a*)b",
        r"\2(a)",
    ] {
        let text = compile(pattern).unwrap_err();
        assert!(text.contains("not supported"), "{pattern}: {text}");
        assert!(text.ends_with(pattern), "{text}");
    }
}

#[test]
fn what_costs_too_much_is_refused_or_matches_nothing() {
    let text = compile("(((a{100}){100}){100}){100}").unwrap_err();
    assert!(text.contains("not supported"), "{text}");
    let slow = compile(r"(a|b|ab)*(?=c)\1").unwrap();
    assert!(slow.regex.is_match(&"ab".repeat(60)).is_err());
}

proptest! {
    #[test]
    fn any_text_is_answered(pattern in r"[a-c()\[\]{}*+?|^$.\\&~,:=!<>0-9dwsQEpPxku-]{0,24}") {
        let _ = compile(&pattern);
    }

    #[test]
    fn quoted_text_matches_itself(text in r"[ -~äß]{0,20}") {
        prop_assume!(!text.contains(r"\E"));
        let compiled = compile(&format!(r"\Q{text}\E")).unwrap();
        prop_assert!(compiled.regex.is_match(&text).unwrap());
    }
}
