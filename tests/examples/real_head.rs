//! Writes the real head, as it is and with a hematoma set in, as NIfTI:
//! `HEMEX_TEST_DATA=DIR cargo run --release --package hemex-tests --example real_head -- OUT_DIR [lower]`

use anyhow::{Context, Result, bail};
use hemex_tests::real_head::{self, Block};

fn main() -> Result<()> {
    let out = std::env::args_os().nth(1).context("usage: real_head OUT_DIR [lower]")?;
    let data = std::env::var_os("HEMEX_TEST_DATA").context("HEMEX_TEST_DATA is not set")?;
    let block = match std::env::args().nth(2).as_deref() {
        None => Block::Upper,
        Some("lower") => Block::Lower,
        Some(other) => bail!("`{other}` is no block: give `lower`, or nothing for the upper one"),
    };
    let head = real_head::build(data.as_ref(), out.as_ref(), block)?;
    println!("{}", head.plain.display());
    println!(
        "{}: {:.1} of {:.1} mL set in",
        head.semi_synthetic.display(),
        head.hematoma_ml,
        head.mask_ml
    );
    Ok(())
}
