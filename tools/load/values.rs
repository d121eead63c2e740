//! Values of the command line.

pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.into(), value.into()))
}

pub(crate) fn header(text: &str) -> Result<String, String> {
    let fine = text.contains(':') && !text.contains(['\r', '\n']);
    fine.then(|| text.to_owned())
        .ok_or_else(|| "expected NAME: VALUE".into())
}

/// How many of something there are; there is at least one.
pub(crate) fn count(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(count) if count > 0 => Ok(count),
        _ => Err("expected a whole number of 1 or more".into()),
    }
}

/// No run is longer than a year.
const SECONDS_MAX: f64 = 365.0 * 86_400.0;

pub(crate) fn seconds(text: &str) -> Result<f64, String> {
    number(text, 0.0, SECONDS_MAX)
}

pub(crate) fn interval(text: &str) -> Result<f64, String> {
    number(text, 0.01, SECONDS_MAX)
}

pub(crate) fn rate(text: &str) -> Result<f64, String> {
    number(text, 1e-3, 1e9)
}

fn number(text: &str, least: f64, most: f64) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("expected a number from {least} to {most}")),
    }
}
