//! Times as Java reads them: `DateTimeFormatter.ISO_OFFSET_DATE_TIME`, refusals to the letter.
//!
//! `[+-]YYYY-MM-DDTHH:MM[:SS[.fffffffff]]` and an offset, `Z` or `+HH[:MM[:SS]]`; letters in either case, dates of the
//! real calendar. Clients see the refusal as `errorMsg`, so its text and index are Java's: first the form is checked
//! from left to right, then month, day, hour, minute, second and offset, in this order.

use super::time::days_of_civil;

/// Why a text is no event time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum EventTimeError {
    /// What Java's `DateTimeParseException` says.
    Unreadable(String),
    /// A moment that milliseconds in 64 bits can't name.
    OutOfRange,
}

/// The time in milliseconds since the epoch, rounded down.
pub(super) fn parse(text: &str) -> Result<i64, EventTimeError> {
    let form = match Form::read(text.as_bytes()) {
        Ok(form) => form,
        Err(problem) => return Err(EventTimeError::Unreadable(sentence(text, &problem))),
    };
    match form.checked_ms() {
        Ok(ms) => i64::try_from(ms).map_err(|_| EventTimeError::OutOfRange),
        Err(detail) => Err(EventTimeError::Unreadable(sentence(
            text,
            &Problem::Value(detail),
        ))),
    }
}

/// What a text says, before anyone asks whether such a moment exists.
#[derive(Debug, Default)]
struct Form {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    nano: i64,
    offset_seconds: i64,
}

#[derive(Debug)]
enum Problem {
    /// Not the form, from this byte on. All before it is ASCII, so it is Java's index too.
    At(usize),
    /// Text is left from this byte on.
    Rest(usize),
    /// The form is right, the value is not.
    Value(String),
}

impl Form {
    fn read(text: &[u8]) -> Result<Self, Problem> {
        let mut form = Self::default();
        let mut at = 0;
        form.year = read_year(text, &mut at)?;
        expect(text, &mut at, b"-")?;
        form.month = expect_pair(text, &mut at)?;
        expect(text, &mut at, b"-")?;
        form.day = expect_pair(text, &mut at)?;
        expect(text, &mut at, b"Tt")?;
        form.hour = expect_pair(text, &mut at)?;
        expect(text, &mut at, b":")?;
        form.minute = expect_pair(text, &mut at)?;
        if let Some(second) = read_after_colon(text, &mut at) {
            form.second = second;
            form.nano = read_fraction(text, &mut at);
        }
        form.offset_seconds = read_offset(text, &mut at)?;
        if at < text.len() {
            return Err(Problem::Rest(at));
        }
        Ok(form)
    }

    /// The moment, or what is wrong with it.
    fn checked_ms(&self) -> Result<i128, String> {
        self.check_date()?;
        in_range("HourOfDay", "0 - 23", self.hour, 0, 23)?;
        in_range("MinuteOfHour", "0 - 59", self.minute, 0, 59)?;
        in_range("SecondOfMinute", "0 - 59", self.second, 0, 59)?;
        if self.offset_seconds.abs() > 18 * 3600 {
            return Err("Zone offset not in valid range: -18:00 to +18:00".to_owned());
        }
        let days = days_of_civil(self.year, self.month, self.day);
        let of_day = self.hour * 3600 + self.minute * 60 + self.second;
        let seconds = days * 86_400 + of_day - self.offset_seconds;
        Ok(i128::from(seconds) * 1000 + i128::from(self.nano / 1_000_000))
    }

    fn check_date(&self) -> Result<(), String> {
        let years = "-999999999 - 999999999";
        in_range("Year", years, self.year, -999_999_999, 999_999_999)?;
        in_range("MonthOfYear", "1 - 12", self.month, 1, 12)?;
        in_range("DayOfMonth", "1 - 28/31", self.day, 1, 31)?;
        let leap = self.year % 4 == 0 && (self.year % 100 != 0 || self.year % 400 == 0);
        let (name, days) = match self.month {
            2 => ("FEBRUARY", if leap { 29 } else { 28 }),
            4 => ("APRIL", 30),
            6 => ("JUNE", 30),
            9 => ("SEPTEMBER", 30),
            11 => ("NOVEMBER", 30),
            _ => ("", 31),
        };
        if self.day <= days {
            return Ok(());
        }
        Err(if self.day == 29 {
            format!(
                "Invalid date 'February 29' as '{}' is not a leap year",
                self.year
            )
        } else {
            format!("Invalid date '{name} {}'", self.day)
        })
    }
}

fn in_range(name: &str, range: &str, value: i64, least: i64, most: i64) -> Result<(), String> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(format!(
        "Invalid value for {name} (valid values {range}): {value}"
    ))
}

/// Four to ten digits; more than four exactly when a plus stands before them; no minus before zero.
fn read_year(text: &[u8], at: &mut usize) -> Result<i64, Problem> {
    let sign = text.first().copied().filter(|byte| b"+-".contains(byte));
    let start = usize::from(sign.is_some());
    let digits = text[start..]
        .iter()
        .take(10)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    if digits < 4 {
        return Err(Problem::At(start));
    }
    let year = number(&text[start..start + digits]);
    let wrong = match sign {
        Some(b'+') => digits == 4,
        Some(_) => year == 0,
        None => digits > 4,
    };
    if wrong {
        return Err(Problem::At(0));
    }
    *at = start + digits;
    Ok(if sign == Some(b'-') { -year } else { year })
}

/// Up to nine digits behind a point, as nanoseconds. The point alone is fine.
fn read_fraction(text: &[u8], at: &mut usize) -> i64 {
    if text.get(*at) != Some(&b'.') {
        return 0;
    }
    *at += 1;
    let mut nano = 0;
    let mut unit = 100_000_000;
    while let Some(byte @ b'0'..=b'9') = text.get(*at)
        && unit > 0
    {
        nano += unit * i64::from(byte - b'0');
        unit /= 10;
        *at += 1;
    }
    nano
}

fn read_offset(text: &[u8], at: &mut usize) -> Result<i64, Problem> {
    let start = *at;
    let sign = match text.get(start) {
        Some(b'Z' | b'z') => {
            *at += 1;
            return Ok(0);
        }
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(Problem::At(start)),
    };
    *at += 1;
    // Any part up to 59 has the form, hours included.
    let Some(hours) = pair(text, *at).filter(|&hours| hours <= 59) else {
        return Err(Problem::At(start));
    };
    *at += 2;
    let mut parts = [0, 0];
    for part in &mut parts {
        let mut after = *at;
        match read_after_colon(text, &mut after) {
            Some(value @ 0..=59) => (*part, *at) = (value, after),
            _ => break,
        }
    }
    if hours > 23 {
        let ranges = "Value out of range: Hour[0-23], Minute[0-59], Second[0-59]";
        return Err(Problem::Value(ranges.to_owned()));
    }
    Ok(sign * (hours * 3600 + parts[0] * 60 + parts[1]))
}

fn read_after_colon(text: &[u8], at: &mut usize) -> Option<i64> {
    if text.get(*at) != Some(&b':') {
        return None;
    }
    let value = pair(text, *at + 1)?;
    *at += 3;
    Some(value)
}

fn expect(text: &[u8], at: &mut usize, one_of: &[u8]) -> Result<(), Problem> {
    match text.get(*at) {
        Some(byte) if one_of.contains(byte) => {
            *at += 1;
            Ok(())
        }
        _ => Err(Problem::At(*at)),
    }
}

fn expect_pair(text: &[u8], at: &mut usize) -> Result<i64, Problem> {
    let value = pair(text, *at).ok_or(Problem::At(*at))?;
    *at += 2;
    Ok(value)
}

fn pair(text: &[u8], at: usize) -> Option<i64> {
    let digits = text.get(at..at + 2)?;
    digits
        .iter()
        .all(u8::is_ascii_digit)
        .then(|| number(digits))
}

fn number(digits: &[u8]) -> i64 {
    digits
        .iter()
        .fold(0, |value, digit| value * 10 + i64::from(digit - b'0'))
}

fn sentence(text: &str, problem: &Problem) -> String {
    let text = abbreviated(text);
    match problem {
        Problem::At(at) => format!("Text '{text}' could not be parsed at index {at}"),
        Problem::Rest(at) => {
            format!("Text '{text}' could not be parsed, unparsed text found at index {at}")
        }
        Problem::Value(detail) => format!("Text '{text}' could not be parsed: {detail}"),
    }
}

/// Java repeats 64 UTF-16 units of a longer text; half a pair becomes a question mark on the wire.
fn abbreviated(text: &str) -> String {
    const UNITS_MAX: usize = 64;
    if text.encode_utf16().count() <= UNITS_MAX {
        return text.to_owned();
    }
    let units: Vec<u16> = text.encode_utf16().take(UNITS_MAX).collect();
    let mut short: String = char::decode_utf16(units)
        .map(|unit| unit.unwrap_or('?'))
        .collect();
    short.push_str("...");
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(vectors: &str) -> usize {
        let mut checked = 0;
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let (text, expected) = line.split_once('\t').unwrap();
            let got = match parse(text) {
                Ok(ms) => ms.to_string(),
                Err(EventTimeError::Unreadable(sentence)) => format!("E {sentence}"),
                Err(EventTimeError::OutOfRange) => "X long overflow".to_owned(),
            };
            assert_eq!(got, expected, "{text}");
            checked += 1;
        }
        checked
    }

    #[test]
    fn reads_and_refuses_what_java_does() {
        let checked = check(include_str!("../../tests/data/eventtime-jdk17.txt"));
        assert!(checked > 300);
    }

    proptest! {
        #[test]
        fn never_panics(text in "[-+0-9:.TZtz äx😀]{0,80}") {
            let _ = parse(&text);
        }

        #[test]
        fn what_is_written_is_read(time_ms in any::<i64>()) {
            let mut format = super::super::time::TimeFormat::new(jiff::tz::TimeZone::UTC);
            let mut out = Vec::new();
            format.write(time_ms, &mut out);
            prop_assert_eq!(parse(std::str::from_utf8(&out).unwrap()), Ok(time_ms));
        }
    }
}
