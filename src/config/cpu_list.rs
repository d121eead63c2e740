//! CPU lists as the kernel writes them: `0-3,8`.

/// Highest CPU number that a list may name; the size of the kernel's default CPU set.
const CPU_MAX: usize = 1023;

/// Reads a list; keeps its order, drops repetitions.
///
/// # Errors
/// A sentence about what is wrong with it.
pub fn parse(list: &str) -> Result<Vec<usize>, String> {
    let mut cpus = Vec::new();
    for part in list.split(',').map(str::trim) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let number = |text: &str| text.trim().parse().ok().filter(|&cpu| cpu <= CPU_MAX);
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => {
                for cpu in first..=last {
                    if !cpus.contains(&cpu) {
                        cpus.push(cpu);
                    }
                }
            }
            _ => {
                return Err(format!(
                    "\"{part}\" is no CPU: expected a list like 0-3,8 with numbers up to {CPU_MAX}"
                ));
            }
        }
    }
    Ok(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        assert_eq!(parse("0").unwrap(), [0]);
        assert_eq!(parse("0-3,8").unwrap(), [0, 1, 2, 3, 8]);
        assert_eq!(parse(" 5 , 1-2,2 ").unwrap(), [5, 1, 2]);
        for list in ["", ",", "3-1", "a", "1-", "-1", "1024", "0-99999999999"] {
            assert!(parse(list).is_err(), "{list}");
        }
    }
}
