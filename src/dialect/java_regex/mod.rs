//! Regular expressions as `java.util.regex` reads them, for an engine of ours.
//!
//! The two languages are nearly one. What means something else there is written in another way here:
//! `\w` and its kin are ASCII, `\p{Lower}` is too, `\Q…\E` quotes. What can't be written is refused with
//! a sentence, and what Java refuses is refused in its words.
//!
//! Look-around, back references, atomic groups and possessive quantifiers make an engine try again and
//! again; there is a limit to that, and a pattern beyond it matches nothing.

mod class;
mod escape;
#[cfg(test)]
mod tests;

use std::fmt::Write as _;

use fancy_regex::{Regex, RegexBuilder};

/// Steps back that one match may take.
const BACKTRACK_MAX: usize = 100_000;
/// Bytes that a compiled pattern may take: one comes with a request.
const COMPILED_BYTES_MAX: usize = 1 << 20;

/// A pattern that was understood.
#[derive(Debug)]
pub(super) struct Compiled {
    /// Matches whole texts only.
    pub(super) regex: Regex,
    /// It has nothing that RE2, the engine of brokers, lacks or reads in another way.
    pub(super) is_common: bool,
}

/// Compiles a pattern for matches of whole texts.
///
/// # Errors
/// It is no pattern, or can't be written for our engine. The text is for the client.
pub(super) fn compile(pattern: &str) -> Result<Compiled, String> {
    let translation = translate(pattern)?;
    let regex = RegexBuilder::new(&format!(r"\A(?:{})\z", translation.out))
        .backtrack_limit(BACKTRACK_MAX)
        .delegate_size_limit(COMPILED_BYTES_MAX)
        .build()
        .map_err(|error| format!("The pattern is not supported: {error}\n{pattern}"))?;
    Ok(Compiled {
        regex,
        is_common: translation.is_common,
    })
}

/// Whether Java would take it, and what it is in our engine's language.
fn translate(pattern: &str) -> Result<Translation, String> {
    let mut translation = Translation {
        chars: pattern.chars().collect(),
        at: 0,
        out: String::with_capacity(pattern.len()),
        depth: 0,
        groups: 0,
        is_common: true,
    };
    match translation.run() {
        Ok(()) => Ok(translation),
        Err(fault) => Err(fault.text(&translation.chars)),
    }
}

/// A pattern on its way from one language to the other.
struct Translation {
    chars: Vec<char>,
    at: usize,
    out: String,
    /// Groups that are open.
    depth: usize,
    /// Groups that capture.
    groups: usize,
    is_common: bool,
}

/// What is wrong, and where.
enum Fault {
    /// In the words of `PatternSyntaxException`.
    Syntax(&'static str, usize),
    /// The same about one character.
    Dangling(char, usize),
    /// Java can, we can't.
    Unsupported(String),
}

impl Fault {
    /// As `PatternSyntaxException.getMessage` has it.
    fn text(&self, pattern: &[char]) -> String {
        let whole: String = pattern.iter().collect();
        let (description, index) = match self {
            Self::Syntax(description, index) => ((*description).to_owned(), *index),
            Self::Dangling(c, index) => (format!("Dangling meta character '{c}'"), *index),
            Self::Unsupported(what) => {
                return format!("The pattern has {what}, which is not supported\n{whole}");
            }
        };
        let mut text = format!("{description} near index {index}\n{whole}");
        if index < pattern.len() {
            let blank = |c: &char| if *c == '\t' { '\t' } else { ' ' };
            let blanks: String = pattern[..index].iter().map(blank).collect();
            let _ = write!(text, "\n{blanks}^");
        }
        text
    }
}

impl Translation {
    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let c = self.peek()?;
        self.at += 1;
        Some(c)
    }

    fn take(&mut self, text: &str) -> bool {
        let len = text.chars().count();
        let there = self.chars.get(self.at..self.at + len);
        let is_there = there.is_some_and(|there| there.iter().copied().eq(text.chars()));
        if is_there {
            self.at += len;
        }
        is_there
    }

    /// A character that stands for itself.
    fn put_literal(&mut self, c: char) {
        if c.is_ascii_punctuation() {
            self.out.push('\\');
        }
        // `<` and `>` behind a backslash are the ends of words.
        if matches!(c, '<' | '>') {
            self.out.pop();
        }
        self.out.push(c);
    }

    fn run(&mut self) -> Result<(), Fault> {
        let mut can_repeat = false;
        while let Some(c) = self.next() {
            match c {
                '\\' => self.escape(false)?,
                '[' => self.class()?,
                '(' => {
                    can_repeat = false;
                    self.open_group()?;
                    continue;
                }
                ')' if self.depth == 0 => {
                    let at = self.at.saturating_sub(2);
                    return Err(Fault::Syntax("Unmatched closing ')'", at));
                }
                ')' => {
                    self.depth -= 1;
                    self.out.push(')');
                }
                '|' => {
                    can_repeat = false;
                    self.out.push('|');
                    continue;
                }
                '*' | '+' | '?' | '{' => {
                    self.repeat(c, can_repeat)?;
                    can_repeat = false;
                    continue;
                }
                '.' | '^' | '$' => self.out.push(c),
                c => self.put_literal(c),
            }
            can_repeat = true;
        }
        if self.depth > 0 {
            return Err(Fault::Syntax("Unclosed group", self.chars.len()));
        }
        Ok(())
    }

    /// What is behind a parenthesis.
    fn open_group(&mut self) -> Result<(), Fault> {
        self.depth += 1;
        self.out.push('(');
        if !self.take("?") {
            self.groups += 1;
            return Ok(());
        }
        for kind in ["<=", "<!", "=", "!", ">"] {
            if self.take(kind) {
                self.is_common = false;
                self.out.push('?');
                self.out.push_str(kind);
                return Ok(());
            }
        }
        if self.take(":") {
            self.out.push_str("?:");
            return Ok(());
        }
        if self.take("<") {
            // RE2 of that age writes names as Python does.
            self.is_common = false;
            self.groups += 1;
            self.out.push_str("?<");
            while let Some(c) = self.next() {
                self.out.push(c);
                if c == '>' {
                    return Ok(());
                }
            }
            return Err(Fault::Syntax(
                "named capturing group is missing trailing '>'",
                self.chars.len(),
            ));
        }
        self.flags()
    }

    /// `(?i)`, `(?i-m:` and their like.
    fn flags(&mut self) -> Result<(), Fault> {
        let mut flags = String::new();
        loop {
            match self.next() {
                Some(flag @ ('i' | 'm' | 's' | '-')) => flags.push(flag),
                // Lines end in one way, letters are Unicode's anyway.
                Some('d' | 'u') => self.is_common = false,
                Some(flag @ ('x' | 'U')) => {
                    return Err(Fault::Unsupported(format!("the flag {flag}")));
                }
                Some(end @ (')' | ':')) => {
                    let flags = flags.trim_end_matches('-');
                    if end == ')' {
                        self.depth -= 1;
                        // Without flags nothing is left to say.
                        let nothing = flags.is_empty();
                        self.out.push_str(if nothing { "?:" } else { "?" });
                    } else {
                        self.out.push('?');
                    }
                    self.out.push_str(flags);
                    self.out.push(end);
                    return Ok(());
                }
                _ => {
                    let at = self.at.saturating_sub(1);
                    return Err(Fault::Syntax("Unknown inline modifier", at));
                }
            }
        }
    }

    /// `*`, `+`, `?` or `{…}`, with what may stand behind it.
    fn repeat(&mut self, c: char, can_repeat: bool) -> Result<(), Fault> {
        let at = self.at - 1;
        if c == '{' {
            let counts = self.counts(at)?;
            if !can_repeat {
                return Err(Fault::Syntax("Illegal repetition", at));
            }
            self.out.push_str(&counts);
        } else if can_repeat {
            self.out.push(c);
        } else {
            return Err(Fault::Dangling(c, at));
        }
        if self.take("?") {
            self.out.push('?');
        } else if self.take("+") {
            self.is_common = false;
            self.out.push('+');
        }
        Ok(())
    }

    /// The inside of braces.
    fn counts(&mut self, at: usize) -> Result<String, Fault> {
        let digits = |this: &mut Self| {
            let mut digits = String::new();
            while let Some(digit) = this.peek().filter(char::is_ascii_digit) {
                digits.push(digit);
                this.at += 1;
            }
            digits
        };
        let least = digits(self);
        if least.is_empty() {
            return Err(Fault::Syntax("Illegal repetition", at + 1));
        }
        let mut counts = format!("{{{least}");
        if self.take(",") {
            let most = digits(self);
            let is_less = match (least.parse::<u32>(), most.parse::<u32>()) {
                (Ok(least), Ok(most)) => most < least,
                _ => false,
            };
            if is_less {
                return Err(Fault::Syntax("Illegal repetition range", self.at));
            }
            counts.push(',');
            counts.push_str(&most);
        }
        if !self.take("}") {
            return Err(Fault::Syntax("Unclosed counted closure", self.at));
        }
        counts.push('}');
        Ok(counts)
    }
}
