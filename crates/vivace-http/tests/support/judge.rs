//! Holds what `RequestReader` makes of a connection against the model, and against itself on the
//! same bytes in other pieces.

use vivace_http::h1::request::Limits;

use super::{Connection, model, read};

/// Reads `bytes`, cut at `cuts`, and whole.
pub(crate) fn judge(bytes: &[u8], cuts: &[usize], limits: Limits) -> Connection {
    let shown = bytes.escape_ascii().to_string();
    let whole = read([bytes], limits);
    let in_pieces = read(pieces(bytes, cuts), limits);
    assert_eq!(in_pieces, whole, "{shown} cut at {cuts:?}");

    let expected = model::read(bytes, limits);
    assert_eq!(whole.requests, expected.requests, "{shown}");
    match whole.rejected {
        Some(reject) => assert!(
            expected.refused.contains(&reject.status),
            "{shown}: {reject}, expected {:?}",
            expected.refused
        ),
        None => assert!(expected.refused.is_empty(), "{shown}: expected {:?}", expected.refused),
    }
    whole
}

/// The pieces between the cuts.
fn pieces<'b>(bytes: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let starts = [0].into_iter().chain(cuts.iter().copied());
    let ends = cuts.iter().copied().chain([bytes.len()]);
    starts.zip(ends).map(|(start, end)| &bytes[start..end]).collect()
}
