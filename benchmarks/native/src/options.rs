//! Command lines of the form `--name value`, without a dependency for it.

use std::collections::HashMap;
use std::str::FromStr;

/// The named values of a command line.
#[derive(Debug)]
pub struct Options(HashMap<String, String>);

impl Options {
    /// Reads `--name value` pairs.
    pub fn parse(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut values = HashMap::new();
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let name = argument
                .strip_prefix("--")
                .ok_or_else(|| format!("{argument:?} is not an option"))?;
            let value = arguments.next().ok_or_else(|| format!("--{name} needs a value"))?;
            values.insert(name.to_owned(), value);
        }
        Ok(Self(values))
    }

    /// The value of `--name`, which must be there.
    pub fn required<T: FromStr>(&self, name: &str) -> Result<T, String>
    where
        T::Err: std::fmt::Display,
    {
        self.optional(name)?.ok_or_else(|| format!("--{name} is missing"))
    }

    /// The value of `--name`, if it was given.
    pub fn optional<T: FromStr>(&self, name: &str) -> Result<Option<T>, String>
    where
        T::Err: std::fmt::Display,
    {
        let Some(text) = self.0.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|error| format!("--{name} {text}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(line: &str) -> Result<Options, String> {
        Options::parse(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn values_are_found_by_name() {
        let options = options("--size 100 --connect tcp:127.0.0.1:1").expect("two pairs");
        assert_eq!(options.required::<usize>("size"), Ok(100));
        assert!(options.required::<usize>("connect").is_err());
        assert!(options.required::<usize>("seconds").is_err());
        assert_eq!(options.optional::<usize>("seconds"), Ok(None));
    }

    #[test]
    fn malformed_lines_are_refused() {
        assert!(options("size 100").is_err());
        assert!(options("--size").is_err());
    }
}
