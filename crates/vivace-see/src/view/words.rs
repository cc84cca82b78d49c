//! Durations, sizes and shares as people write them; names so that a terminal obeys none.

use crate::finding::push_shown;

/// A name or a line from the program, with control characters as escapes.
pub fn shown(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    push_shown(&mut shown, text);
    shown
}

/// Seconds: `0.4ms`, `12ms`, `1.2s`, `45s`, `3m20`, `3h12`, `5d4h`.
pub fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "-".into();
    }
    let whole = seconds as u64;
    match seconds {
        s if s < 0.000_000_5 => "0".into(),
        s if s < 0.000_999_5 => format!("{:.0}us", s * 1e6),
        s if s < 0.01 => format!("{:.1}ms", s * 1e3),
        s if s < 0.999_5 => format!("{:.0}ms", s * 1e3),
        s if s < 9.95 => format!("{s:.1}s"),
        s if s < 60.0 => format!("{whole}s"),
        s if s < 3600.0 => format!("{}m{:02}", whole / 60, whole % 60),
        s if s < 86_400.0 => format!("{}h{:02}", whole / 3600, whole / 60 % 60),
        _ => format!("{}d{}h", whole / 86_400, whole / 3600 % 24),
    }
}

/// A share of one, in per cent: `0.4%`, `63%`.
pub fn share(of_one: f64) -> String {
    let percent = of_one * 100.0;
    if percent > 0.0 && percent < 9.95 {
        format!("{percent:.1}%")
    } else {
        format!("{percent:.0}%")
    }
}

/// Bytes: `812K`, `31M`, `1.2G`.
pub fn size(bytes: u64) -> String {
    let bytes = bytes as f64;
    match bytes {
        b if b < 1024.0 * 1024.0 => format!("{:.0}K", b / 1024.0),
        b if b < 1024.0 * 1024.0 * 1024.0 => format!("{:.0}M", b / (1024.0 * 1024.0)),
        b => format!("{:.1}G", b / (1024.0 * 1024.0 * 1024.0)),
    }
}

/// A command line, without the folders of the interpreter.
pub fn command(argv: &[String]) -> String {
    let words: Vec<String> = argv
        .iter()
        .enumerate()
        .map(|(place, word)| match word.rsplit('/').next() {
            Some(name) if place == 0 => shown(name),
            _ => shown(word),
        })
        .collect();
    words.join(" ")
}

/// The last two parts of a path, which are enough to recognise it.
pub fn short_path(path: &str) -> String {
    let mut parts = path.rsplitn(3, '/');
    match (parts.next(), parts.next()) {
        (Some(name), Some(folder)) if !folder.is_empty() => shown(&format!("{folder}/{name}")),
        _ => shown(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_short() {
        let texts = [0.0, 2e-4, 0.0042, 0.21, 1.24, 59.9, 200.0, 11_520.0, 446_400.0, f64::NAN];
        let expected = ["0", "200us", "4.2ms", "210ms", "1.2s", "59s", "3m20", "3h12", "5d4h", "-"];
        assert_eq!(texts.map(duration), expected);
    }

    #[test]
    fn paths_and_commands_are_recognised() {
        assert_eq!(short_path("/home/a/app/main.py"), "app/main.py");
        assert_eq!(short_path("main.py"), "main.py");
        assert_eq!(command(&["/usr/bin/python3".into(), "a\u{1b}b".into()]), "python3 a\\x1bb");
    }
}
