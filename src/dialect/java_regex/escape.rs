//! What a backslash means.

use std::fmt::Write as _;

use super::{Fault, Translation};

const SPACE: &str = r" \t\n\x0B\f\r";
const HORIZONTAL: &str = r" \t\xA0\x{1680}\x{180e}\x{2000}-\x{200a}\x{202f}\x{205f}\x{3000}";
const VERTICAL: &str = r"\n\x0B\f\r\x85\x{2028}\x{2029}";

/// The classes of POSIX, which are ASCII in Java.
const POSIX: [(&str, &str); 13] = [
    ("Lower", "a-z"),
    ("Upper", "A-Z"),
    ("ASCII", r"\x00-\x7F"),
    ("Alpha", "a-zA-Z"),
    ("Digit", "0-9"),
    ("Alnum", "a-zA-Z0-9"),
    ("Punct", r"!-/:-@\[-`\{-\x7E"),
    ("Graph", r"!-\x7E"),
    ("Print", r"\x20-\x7E"),
    ("Blank", r" \t"),
    ("Cntrl", r"\x00-\x1F\x7F"),
    ("XDigit", "0-9a-fA-F"),
    ("Space", SPACE),
];

impl Translation {
    /// What is behind a backslash.
    pub(super) fn escape(&mut self, in_class: bool) -> Result<(), Fault> {
        let at = self.at;
        let illegal = Fault::Syntax("Illegal/unsupported escape sequence", at);
        let Some(c) = self.next() else {
            return Err(Fault::Syntax("Unescaped trailing backslash", at));
        };
        match c {
            'd' | 'D' => self.put_set("0-9", c == 'D', in_class),
            'w' | 'W' => self.put_set("a-zA-Z0-9_", c == 'W', in_class),
            's' | 'S' => {
                // RE2 leaves out the vertical tab.
                self.is_common = false;
                self.put_set(SPACE, c == 'S', in_class);
            }
            'h' | 'H' => {
                self.is_common = false;
                self.put_set(HORIZONTAL, c == 'H', in_class);
            }
            'v' | 'V' => {
                self.is_common = false;
                self.put_set(VERTICAL, c == 'V', in_class);
            }
            'p' | 'P' => self.property(c == 'P', in_class)?,
            't' | 'n' | 'r' | 'f' | 'a' => {
                self.out.push('\\');
                self.out.push(c);
            }
            'e' => self.put_code(0x1b),
            'x' => {
                let code = self.hexadecimal(at)?;
                self.put_code(code);
            }
            'u' => {
                self.is_common = false;
                let text = "Illegal Unicode escape sequence";
                let code = self.digits(16, 4, 4).ok_or(Fault::Syntax(text, at))?;
                self.put_code(code);
            }
            '0' => {
                self.is_common = false;
                let most = if matches!(self.peek(), Some('0'..='3')) {
                    3
                } else {
                    2
                };
                let text = "Illegal octal escape sequence";
                let code = self.digits(8, 1, most).ok_or(Fault::Syntax(text, at))?;
                self.put_code(code);
            }
            'c' => {
                self.is_common = false;
                let Some(control) = self.next() else {
                    return Err(Fault::Syntax("Illegal control escape sequence", at));
                };
                self.put_code(u32::from(control) ^ 64);
            }
            'Q' => self.quoted(),
            'b' | 'B' | 'A' | 'z' if !in_class => {
                self.out.push('\\');
                self.out.push(c);
            }
            'Z' if !in_class => {
                self.is_common = false;
                self.out.push_str(r"(?=\n?\z)");
            }
            'R' if !in_class => {
                self.is_common = false;
                let _ = write!(self.out, r"(?:\r\n|[{VERTICAL}])");
            }
            '1'..='9' if !in_class => self.back_reference(c),
            'k' if !in_class => {
                self.is_common = false;
                self.out.push_str(r"\k");
                // The name follows as text, brackets and all.
                while let Some(next) = self.next() {
                    self.out.push(next);
                    if next == '>' {
                        return Ok(());
                    }
                }
                return Err(illegal);
            }
            'G' | 'X' | 'N' => return Err(Fault::Unsupported(format!(r"\{c}"))),
            c if c.is_ascii_alphabetic() => return Err(illegal),
            c => self.put_literal(c),
        }
        Ok(())
    }

    fn put_set(&mut self, set: &str, is_negated: bool, in_class: bool) {
        let _ = match (is_negated, in_class) {
            (true, _) => write!(self.out, "[^{set}]"),
            (false, false) => write!(self.out, "[{set}]"),
            (false, true) => write!(self.out, "{set}"),
        };
    }

    fn put_code(&mut self, code: u32) {
        let _ = write!(self.out, r"\x{{{code:x}}}");
    }

    /// `\p{…}`, or `\p` with one letter.
    fn property(&mut self, is_negated: bool, in_class: bool) -> Result<(), Fault> {
        let name = if self.take("{") {
            let mut name = String::new();
            loop {
                match self.next() {
                    Some('}') => break name,
                    Some(c) => name.push(c),
                    None => {
                        let at = self.chars.len().saturating_sub(1);
                        return Err(Fault::Syntax("Unclosed character family", at));
                    }
                }
            }
        } else {
            self.next().map(String::from).unwrap_or_default()
        };
        self.is_common = false;
        if let Some((_, set)) = POSIX.iter().find(|(known, _)| *known == name) {
            self.put_set(set, is_negated, in_class);
            return Ok(());
        }
        let value = match name.split_once('=') {
            Some(("script" | "sc" | "general_category" | "gc", value)) => value,
            Some(_) => "",
            None => name.strip_prefix("Is").unwrap_or(&name),
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_javas_own = name.starts_with("In") || name.starts_with("java");
        if value.is_empty() || is_javas_own || !value.chars().all(is_plain) {
            let what = format!("the character property {{{name}}}");
            return Err(Fault::Unsupported(what));
        }
        let p = if is_negated { 'P' } else { 'p' };
        let _ = write!(self.out, r"\{p}{{{value}}}");
        Ok(())
    }

    /// Takes between `least` and `most` digits.
    fn digits(&mut self, radix: u32, least: usize, most: usize) -> Option<u32> {
        let rest = self.chars.get(self.at..)?;
        let digits = rest.iter().map_while(|c| c.to_digit(radix)).take(most);
        let (count, code) = digits.fold((0, 0_u32), |(count, code), digit| {
            (count + 1, code.wrapping_mul(radix).wrapping_add(digit))
        });
        if count < least {
            return None;
        }
        self.at += count;
        Some(code)
    }

    /// Two digits, or any number of them in braces.
    fn hexadecimal(&mut self, at: usize) -> Result<u32, Fault> {
        let fault = |text| Err(Fault::Syntax(text, at));
        if !self.take("{") {
            return match self.digits(16, 2, 2) {
                Some(code) => Ok(code),
                None => fault("Illegal hexadecimal escape sequence"),
            };
        }
        match self.digits(16, 1, 6) {
            Some(code) if self.take("}") => Ok(code),
            _ => fault("Unclosed hexadecimal escape sequence"),
        }
    }

    /// Everything up to `\E`.
    fn quoted(&mut self) {
        while !self.take(r"\E") {
            match self.next() {
                Some(c) => self.put_literal(c),
                None => return,
            }
        }
    }

    /// As many digits as make the number of a group.
    fn back_reference(&mut self, first: char) {
        self.is_common = false;
        let mut number = first.to_digit(10).unwrap_or_default() as usize;
        while let Some(digit) = self.peek().and_then(|c| c.to_digit(10)) {
            let longer = number * 10 + digit as usize;
            if longer > self.groups {
                break;
            }
            number = longer;
            self.at += 1;
        }
        let _ = write!(self.out, r"(?:\{number})");
    }
}
