//! Writes a new self-signed certificate for `localhost` and its private key.
//!
//! `make-certificate --folder FOLDER` makes `certificate.pem` and `key.pem`.

use std::path::PathBuf;

use vivace_bench_native::options::Options;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder: PathBuf = Options::parse(std::env::args().skip(1))?.required("folder")?;
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(folder.join("certificate.pem"), made.cert.pem())?;
    std::fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}
