//! Character classes: `[…]`, in which Java and our engine differ in what else is an operator.

use super::{Fault, Translation};

impl Translation {
    /// What is behind a bracket.
    pub(super) fn class(&mut self) -> Result<(), Fault> {
        self.out.push('[');
        if self.take("^") {
            self.out.push('^');
        }
        let mut is_first = true;
        // A single character stands before, from which a range may go.
        let mut begins_range = false;
        loop {
            let Some(c) = self.next() else {
                let at = self.chars.len().saturating_sub(1);
                return Err(Fault::Syntax("Unclosed character class", at));
            };
            match c {
                ']' if !is_first => {
                    self.out.push(']');
                    return Ok(());
                }
                '[' => {
                    self.is_common = false;
                    self.class()?;
                    begins_range = false;
                }
                '&' if self.take("&") => {
                    self.is_common = false;
                    self.out.push_str("&&");
                    begins_range = false;
                }
                '-' if begins_range && self.peek() != Some(']') => {
                    self.out.push('-');
                    begins_range = false;
                }
                '\\' => {
                    let is_set = matches!(
                        self.peek(),
                        Some('d' | 'D' | 'w' | 'W' | 's' | 'S' | 'h' | 'H' | 'v' | 'V' | 'p' | 'P')
                    );
                    self.escape(true)?;
                    begins_range = !is_set;
                }
                c => {
                    self.put_literal(c);
                    begins_range = true;
                }
            }
            is_first = false;
        }
    }
}
