//! What an error is about: the bare words of the system do not name a file, an address or a process.

use std::{fmt::Display, io};

/// Puts `what` before an error, whose kind stays.
pub(crate) fn about(what: impl Display) -> impl FnOnce(io::Error) -> io::Error {
    move |error| io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_says_what_it_is_about_and_keeps_its_kind() {
        let error = about("x.log")(io::Error::from(io::ErrorKind::NotFound));
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().starts_with("x.log: "), "{error}");
    }
}
