//! Times as Java writes them: `ISO_OFFSET_DATE_TIME` in the service's own zone.
//!
//! The zone is given, no clock is read. Messages of one second share everything but the fraction, so the last few
//! seconds are kept as text and a time costs two copies on the hot path. Java knows every millisecond that fits a
//! `long` (years up to 292278994); the calendar here does too, though the zone's library ends at year 9999.

use jiff::{Timestamp, tz::TimeZone};

/// Days of 400 years. The calendar repeats after them, weekdays included, and so do the rules of daylight saving time.
const CYCLE_DAYS: i64 = 146_097;
const DAY_SECONDS: i64 = 86_400;
const CYCLE_SECONDS: i64 = CYCLE_DAYS * DAY_SECONDS;

/// Writes times. Each shard has its own.
#[derive(Debug)]
pub struct TimeFormat {
    zone: TimeZone,
    /// By the second's last bits, so that publish times and event times of neighbouring messages live side by side.
    slots: [Slot; 4],
}

/// A second as text, in two parts between which the fraction belongs. Both are copied whole, zeros behind them too: so many
/// bytes at once cost less than as many as there are.
#[derive(Clone, Copy, Debug)]
struct Slot {
    second: i64,
    before: Part<32>,
    after: Part<16>,
}

/// A piece of a text.
#[derive(Clone, Copy, Debug)]
struct Part<const BYTES_MAX: usize> {
    text: [u8; BYTES_MAX],
    len: usize,
}

impl TimeFormat {
    /// The longest time: `+292278994-08-17T07:12:55.807+17:59:59`.
    pub const BYTES_MAX: usize = 38;
    /// For all parts with the zeros behind them.
    const ROOM: usize = 64;

    /// Writes times of `zone`.
    #[must_use]
    pub fn new(zone: TimeZone) -> Self {
        let mut format = Self {
            zone,
            slots: [Slot::EMPTY; 4],
        };
        for second in 0..4 {
            format.slots[format.slot_of(second)] = Slot::new(second, &format.zone);
        }
        format
    }

    /// Appends a time given in milliseconds since the epoch: `2026-11-21T03:08:25.917+02:00`. The fraction has only the
    /// digits it needs (`.41`, `.1`, or none), and an offset of zero is `Z`.
    pub fn write(&mut self, time_ms: i64, out: &mut Vec<u8>) {
        let second = time_ms.div_euclid(1000);
        let index = self.slot_of(second);
        if self.slots[index].second != second {
            self.slots[index] = Slot::new(second, &self.zone);
        }
        let slot = &self.slots[index];
        let mut text = [0; Self::ROOM];
        let mut len = 0;
        put(&mut text, &mut len, &slot.before.text, slot.before.len);
        let (fraction, digits) = fraction(time_ms.rem_euclid(1000));
        put(&mut text, &mut len, &fraction, digits);
        put(&mut text, &mut len, &slot.after.text, slot.after.len);
        out.extend_from_slice(&text[..len.min(Self::ROOM)]);
    }

    fn slot_of(&self, second: i64) -> usize {
        usize::from(second.to_le_bytes()[0]) % self.slots.len()
    }
}

impl Slot {
    const EMPTY: Self = Self {
        second: 0,
        before: Part::EMPTY,
        after: Part::EMPTY,
    };

    fn new(second: i64, zone: &TimeZone) -> Self {
        let offset = offset_seconds(second, zone);
        // At most nine million million million and a day: far from the ends of i64.
        let local = second + i64::from(offset);
        let (year, month, day) = civil_of_days(local.div_euclid(DAY_SECONDS));
        let of_day = local.rem_euclid(DAY_SECONDS);

        let mut slot = Self {
            second,
            ..Self::EMPTY
        };
        slot.before.push_year(year);
        for (mark, number) in [
            (b'-', month),
            (b'-', day),
            (b'T', of_day / 3600),
            (b':', of_day / 60 % 60),
            (b':', of_day % 60),
        ] {
            slot.before.push(mark);
            slot.before.push_pair(number);
        }
        slot.after.push_offset(i64::from(offset));
        slot
    }
}

impl<const BYTES_MAX: usize> Part<BYTES_MAX> {
    const EMPTY: Self = Self {
        text: [0; BYTES_MAX],
        len: 0,
    };

    /// Four digits at least; a plus where there are more (Java's `SignStyle.EXCEEDS_PAD`).
    fn push_year(&mut self, year: i64) {
        if year < 0 {
            self.push(b'-');
        } else if year > 9999 {
            self.push(b'+');
        }
        let year = year.unsigned_abs();
        let mut unit = 1_000;
        while year / unit >= 10 {
            unit *= 10;
        }
        while unit > 0 {
            self.push(digit((year / unit % 10).cast_signed()));
            unit /= 10;
        }
    }

    fn push_offset(&mut self, offset: i64) {
        if offset == 0 {
            return self.push(b'Z');
        }
        self.push(if offset < 0 { b'-' } else { b'+' });
        let offset = offset.abs();
        self.push_pair(offset / 3600);
        self.push(b':');
        self.push_pair(offset / 60 % 60);
        if offset % 60 != 0 {
            self.push(b':');
            self.push_pair(offset % 60);
        }
    }

    fn push_pair(&mut self, number: i64) {
        self.push(digit(number / 10));
        self.push(digit(number));
    }

    fn push(&mut self, byte: u8) {
        self.text[self.len] = byte;
        self.len += 1;
    }
}

/// Puts all of `part` at `len`, of which `part_len` bytes count.
#[inline(always)]
fn put(text: &mut [u8; TimeFormat::ROOM], len: &mut usize, part: &[u8], part_len: usize) {
    if let Some(place) = text.get_mut(*len..*len + part.len()) {
        place.copy_from_slice(part);
        *len += part_len;
    }
}

/// The digits of a fraction behind their point, and how much of that is needed.
fn fraction(milli: i64) -> ([u8; 4], usize) {
    let milli = u32::try_from(milli).unwrap_or_default();
    let digit = |number: u32| b'0' + (number % 10).to_le_bytes()[0];
    let needed = match (milli % 10, milli % 100) {
        _ if milli == 0 => 0,
        (_, 0) => 2,
        (0, _) => 3,
        _ => 4,
    };
    (
        [b'.', digit(milli / 100), digit(milli / 10), digit(milli)],
        needed,
    )
}

/// The last digit of a number that is not negative.
fn digit(number: i64) -> u8 {
    b'0' + u8::try_from(number % 10).unwrap_or_default()
}

/// How far the zone is ahead of UTC then. Beyond the years that the library knows, the rules of its last four hundred
/// years go on; before them, what held first.
fn offset_seconds(second: i64, zone: &TimeZone) -> i32 {
    let last = Timestamp::MAX.as_second() - DAY_SECONDS;
    let beyond = second.saturating_sub(last).max(0);
    let cycles = beyond.div_euclid(CYCLE_SECONDS) + i64::from(beyond % CYCLE_SECONDS != 0);
    let known = second - cycles * CYCLE_SECONDS;
    let timestamp = Timestamp::from_second(known).unwrap_or(Timestamp::MIN);
    zone.to_offset(timestamp).seconds()
}

/// The date that many days after 1970-01-01, in the proleptic Gregorian calendar.
///
/// Years are counted from March, so that the leap day ends one; months of such a year begin on days that the line
/// `(153 * month + 2) / 5` goes through.
fn civil_of_days(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_FROM_MARCH_0000;
    let cycle = days.div_euclid(CYCLE_DAYS);
    let of_cycle = days.rem_euclid(CYCLE_DAYS);
    let year = (of_cycle - of_cycle / 1_460 + of_cycle / 36_524 - of_cycle / 146_096) / 365;
    let of_year = of_cycle - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (month, next_year) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    (cycle * 400 + year + next_year, month, day)
}

/// Days from 1970-01-01 to that date of the proleptic Gregorian calendar; undoes [`civil_of_days`].
pub(super) const fn days_of_civil(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let of_cycle = year.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    year.div_euclid(400) * CYCLE_DAYS + of_cycle * 365 + of_cycle / 4 - of_cycle / 100 + of_year
        - EPOCH_FROM_MARCH_0000
}

/// Days from 0000-03-01 to 1970-01-01.
const EPOCH_FROM_MARCH_0000: i64 = 719_468;

#[cfg(test)]
mod tests {
    use jiff::tz::Offset;
    use proptest::prelude::*;

    use super::*;

    fn text(format: &mut TimeFormat, time_ms: i64) -> String {
        let mut out = Vec::new();
        format.write(time_ms, &mut out);
        assert!(out.len() <= TimeFormat::BYTES_MAX);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_what_java_writes() {
        let vectors = include_str!("../../tests/data/timeformat-jdk17.txt");
        let mut checked = 0;
        for line in vectors.lines().filter(|line| !line.starts_with('#')) {
            let [zone, time_ms, expected] = *line.split('\t').collect::<Vec<_>>() else {
                panic!("{line}");
            };
            let zone = match zone {
                "UTC" => TimeZone::UTC,
                rules => TimeZone::posix(rules).unwrap(),
            };
            let written = text(&mut TimeFormat::new(zone), time_ms.parse().unwrap());
            assert_eq!(written, expected, "{line}");
            checked += 1;
        }
        assert!(checked > 100);
    }

    #[test]
    fn one_second_off_changes_the_text_though_the_slot_is_shared() {
        let mut format = TimeFormat::new(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap());
        for round in 0..3 {
            assert_eq!(text(&mut format, 0), "1970-01-01T01:00:00+01:00", "{round}");
            assert_eq!(text(&mut format, 4_001), "1970-01-01T01:00:04.001+01:00");
            assert_eq!(
                text(&mut format, 1_616_893_199_999),
                "2021-03-28T01:59:59.999+01:00"
            );
            assert_eq!(
                text(&mut format, 1_616_893_200_000),
                "2021-03-28T03:00:00+02:00"
            );
        }
    }

    #[test]
    fn offsets_of_odd_seconds_show_them() {
        let zone = TimeZone::fixed(Offset::from_seconds(3_208).unwrap());
        assert_eq!(
            text(&mut TimeFormat::new(zone), 0),
            "1970-01-01T00:53:28+00:53:28"
        );
        let zone = TimeZone::fixed(Offset::from_seconds(-3_601).unwrap());
        assert_eq!(
            text(&mut TimeFormat::new(zone), 0),
            "1969-12-31T22:59:59-01:00:01"
        );
    }

    proptest! {
        #[test]
        fn dates_and_days_undo_each_other(days in -106_751_991_200_i64..106_751_991_200) {
            let (year, month, day) = civil_of_days(days);
            prop_assert!((1..=12).contains(&month) && (1..=31).contains(&day));
            prop_assert_eq!(days_of_civil(year, month, day), days);
        }

        #[test]
        fn agrees_with_the_calendar_of_jiff(time_ms in -377_000_000_000_000_i64..253_000_000_000_000) {
            let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
            let zoned = Timestamp::from_millisecond(time_ms).unwrap().to_zoned(zone.clone());
            let written = text(&mut TimeFormat::new(zone), time_ms);
            let sign = if zoned.year() < 0 { "-" } else { "" };
            let expected = format!(
                "{sign}{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
                zoned.year().abs(), zoned.month(), zoned.day(),
                zoned.hour(), zoned.minute(), zoned.second()
            );
            prop_assert!(written.starts_with(&expected), "{} {}", written, expected);
        }
    }
}
