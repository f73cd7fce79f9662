//! JPEG baseline and extended sequential, 8 and 12 bits, one component (ITU-T T.81, processes 1, 2
//! and 4): what CT slices are compressed with, and decoders of photographs stop at 8 bits.

/// Grey values of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grey {
    pub(super) n_rows: usize,
    pub(super) n_columns: usize,
    /// Unsigned, row by row.
    pub(super) values: Vec<u16>,
}

/// The order in which a block's coefficients are coded (T.81, figure A.6), as row · 8 + column.
const ZIGZAG: [u8; 64] = [
    0, 1, 8, 16, 9, 2, 3, 10, 17, 24, 32, 25, 18, 11, 4, 5, 12, 19, 26, 33, 40, 48, 41, 34, 27, 20,
    13, 6, 7, 14, 21, 28, 35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51, 58, 59,
    52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// Markers, after 0xFF.
mod marker {
    pub(super) const BASELINE: u8 = 0xC0;
    pub(super) const EXTENDED: u8 = 0xC1;
    pub(super) const HUFFMAN_TABLES: u8 = 0xC4;
    pub(super) const BEGIN: u8 = 0xD8;
    pub(super) const END: u8 = 0xD9;
    pub(super) const SCAN: u8 = 0xDA;
    pub(super) const QUANTISATION_TABLES: u8 = 0xDB;
    pub(super) const RESTART_INTERVAL: u8 = 0xDD;
}

/// Decodes an image of exactly this size; `None` if it is damaged or of another kind.
pub(super) fn decode(bytes: &[u8], n_rows: usize, n_columns: usize) -> Option<Grey> {
    let mut decoder = Decoder::default();
    let mut at = 0;
    loop {
        // A marker may be preceded by any number of fill bytes.
        while *bytes.get(at)? != 0xFF {
            at += 1;
        }
        while *bytes.get(at)? == 0xFF {
            at += 1;
        }
        let marker = bytes[at];
        at += 1;
        if marker == marker::BEGIN {
            continue;
        }
        let length = usize::from(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?));
        let segment = bytes.get(at + 2..at.checked_add(length)?)?;
        at += length;
        match marker {
            marker::BASELINE | marker::EXTENDED => decoder.frame(segment, n_rows, n_columns)?,
            // Progressive, lossless, arithmetic: other processes.
            0xC2 | 0xC3 | 0xC5..=0xC7 | 0xC9..=0xCF | marker::END => return None,
            marker::HUFFMAN_TABLES => decoder.huffman_tables(segment)?,
            marker::QUANTISATION_TABLES => decoder.quantisation_tables(segment)?,
            marker::RESTART_INTERVAL => {
                decoder.restart_interval = usize::from(u16::from_be_bytes(*segment.first_chunk()?));
            }
            marker::SCAN => return decoder.scan(segment, bytes.get(at..)?),
            _ => (),
        }
    }
}

/// What the segments before the scan say.
#[derive(Default)]
struct Decoder {
    /// Precision, rows, columns, quantisation table, component.
    frame: Option<Frame>,
    quantisation: [Option<[u16; 64]>; 4],
    dc: [Option<Huffman>; 4],
    ac: [Option<Huffman>; 4],
    restart_interval: usize,
}

#[derive(Clone, Copy)]
struct Frame {
    precision: u32,
    n_rows: usize,
    n_columns: usize,
    quantisation: usize,
    component: u8,
}

impl Decoder {
    fn frame(&mut self, segment: &[u8], n_rows: usize, n_columns: usize) -> Option<()> {
        let [precision, r1, r0, c1, c0, 1, component, _, quantisation] = *segment.first_chunk()?
        else {
            return None;
        };
        let found = [u16::from_be_bytes([r1, r0]), u16::from_be_bytes([c1, c0])].map(usize::from);
        if ![8, 12].contains(&precision) || found != [n_rows, n_columns] || quantisation > 3 {
            return None;
        }
        self.frame = Some(Frame {
            precision: u32::from(precision),
            n_rows,
            n_columns,
            quantisation: usize::from(quantisation),
            component,
        });
        Some(())
    }

    fn quantisation_tables(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [head, rest @ ..] = segment {
            let (is_wide, slot) = (head >> 4 == 1, usize::from(head & 15));
            let n_bytes = if is_wide { 128 } else { 64 };
            let values = rest.get(..n_bytes)?;
            let mut table = [0u16; 64];
            for (i, value) in table.iter_mut().enumerate() {
                *value = if is_wide {
                    u16::from_be_bytes([values[2 * i], values[2 * i + 1]])
                } else {
                    u16::from(values[i])
                };
            }
            *self.quantisation.get_mut(slot)? = Some(table);
            segment = &rest[n_bytes..];
        }
        Some(())
    }

    fn huffman_tables(&mut self, mut segment: &[u8]) -> Option<()> {
        while let [head, rest @ ..] = segment {
            let (class, slot) = (head >> 4, usize::from(head & 15));
            let counts: &[u8; 16] = rest.first_chunk()?;
            let n: usize = counts.iter().map(|n| usize::from(*n)).sum();
            let symbols = rest.get(16..16 + n)?;
            let tables = if class == 0 { &mut self.dc } else { &mut self.ac };
            *tables.get_mut(slot)? = Some(Huffman::new(counts, symbols)?);
            segment = &rest[16 + n..];
        }
        Some(())
    }

    fn scan(&self, segment: &[u8], data: &[u8]) -> Option<Grey> {
        let frame = self.frame?;
        let [1, component, tables, ..] = *segment else { return None };
        if component != frame.component {
            return None;
        }
        let dc = self.dc.get(usize::from(tables >> 4))?.as_ref()?;
        let ac = self.ac.get(usize::from(tables & 15))?.as_ref()?;
        let quantisation = self.quantisation[frame.quantisation].as_ref()?;
        let (n_rows, n_columns) = (frame.n_rows, frame.n_columns);
        let highest = (1i32 << frame.precision) - 1;
        let cosines = cosines();
        let mut values = vec![0u16; n_rows * n_columns];
        let mut bits = Bits::new(data);
        let mut last_dc = 0i32;
        let n_across = n_columns.div_ceil(8);
        for block in 0..n_across * n_rows.div_ceil(8) {
            if self.restart_interval > 0 && block > 0 && block % self.restart_interval == 0 {
                bits.restart()?;
                last_dc = 0;
            }
            let coefficients = coefficients(&mut bits, dc, ac, quantisation, &mut last_dc)?;
            let samples = inverse_dct(&coefficients, &cosines);
            let (row, column) = (block / n_across * 8, block % n_across * 8);
            for r in 0..8.min(n_rows - row) {
                for c in 0..8.min(n_columns - column) {
                    let level = samples[r * 8 + c].round() as i32 + (highest + 1) / 2;
                    values[(row + r) * n_columns + column + c] = level.clamp(0, highest) as u16;
                }
            }
        }
        Some(Grey { n_rows, n_columns, values })
    }
}

/// The coefficients of the next block, dequantised, by row · 8 + column (T.81, F.2.2).
fn coefficients(
    bits: &mut Bits<'_>,
    dc: &Huffman,
    ac: &Huffman,
    quantisation: &[u16; 64],
    last_dc: &mut i32,
) -> Option<[f32; 64]> {
    let mut block = [0.0; 64];
    let size = dc.symbol(bits)?;
    *last_dc = last_dc.checked_add(bits.signed(size)?)?;
    block[0] = *last_dc as f32 * f32::from(quantisation[0]);
    let mut k = 1;
    while k < 64 {
        let symbol = ac.symbol(bits)?;
        let (n_zeros, size) = (usize::from(symbol >> 4), symbol & 15);
        if size == 0 {
            // Sixteen zeros, or nothing but zeros.
            if n_zeros < 15 {
                break;
            }
            k += 16;
            continue;
        }
        k += n_zeros;
        let place = usize::from(*ZIGZAG.get(k)?);
        block[place] = bits.signed(size)? as f32 * f32::from(quantisation[k]);
        k += 1;
    }
    Some(block)
}

/// `c(u) cos((2x + 1) u π / 16) / 2` at `[x][u]` (T.81, A.3.3).
fn cosines() -> [[f32; 8]; 8] {
    std::array::from_fn(|x| {
        std::array::from_fn(|u| {
            let scale = if u == 0 { std::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
            let angle = (2 * x + 1) as f64 * u as f64 * std::f64::consts::PI / 16.0;
            (0.5 * scale * angle.cos()) as f32
        })
    })
}

/// Rows first, then columns.
fn inverse_dct(coefficients: &[f32; 64], cosines: &[[f32; 8]; 8]) -> [f32; 64] {
    let mut rows = [0.0; 64];
    for v in 0..8 {
        let row = &coefficients[v * 8..v * 8 + 8];
        if row.iter().all(|c| *c == 0.0) {
            continue;
        }
        for x in 0..8 {
            rows[v * 8 + x] = row.iter().zip(&cosines[x]).map(|(c, cos)| c * cos).sum();
        }
    }
    let mut samples = [0.0; 64];
    for y in 0..8 {
        for x in 0..8 {
            samples[y * 8 + x] = (0..8).map(|v| rows[v * 8 + x] * cosines[y][v]).sum();
        }
    }
    samples
}

/// A Huffman code (T.81, F.2.2.3): codes of one length are consecutive numbers.
struct Huffman {
    /// The first code of each length, how many there are, and where their symbols begin.
    lengths: [(u32, u32, usize); 16],
    symbols: Vec<u8>,
}

impl Huffman {
    fn new(counts: &[u8; 16], symbols: &[u8]) -> Option<Self> {
        let mut lengths = [(0, 0, 0); 16];
        let (mut code, mut first) = (0u32, 0);
        for (length, count) in counts.iter().enumerate() {
            let n = u32::from(*count);
            lengths[length] = (code, n, first);
            first += usize::from(*count);
            code += n;
            if code > 1 << (length + 1) {
                return None;
            }
            code <<= 1;
        }
        Some(Self { lengths, symbols: symbols.to_vec() })
    }

    fn symbol(&self, bits: &mut Bits<'_>) -> Option<u8> {
        let mut code = 0;
        for (first_code, n, first) in self.lengths {
            code = code << 1 | bits.next()?;
            if code.wrapping_sub(first_code) < n {
                return self.symbols.get(first + (code - first_code) as usize).copied();
            }
        }
        None
    }
}

/// Bits of a scan, whose 0xFF are followed by a 0 that does not count.
struct Bits<'a> {
    data: &'a [u8],
    at: usize,
    held: u32,
    n_held: u32,
}

impl<'a> Bits<'a> {
    fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0, held: 0, n_held: 0 }
    }

    fn next(&mut self) -> Option<u32> {
        if self.n_held == 0 {
            self.held = u32::from(*self.data.get(self.at)?);
            self.at += 1;
            if self.held == 0xFF {
                // A marker ends the data.
                if *self.data.get(self.at)? != 0 {
                    return None;
                }
                self.at += 1;
            }
            self.n_held = 8;
        }
        self.n_held -= 1;
        Some(self.held >> self.n_held & 1)
    }

    /// A difference of `size` bits (T.81, F.2.2.1): the lower half of the numbers stands for negative
    /// ones.
    fn signed(&mut self, size: u8) -> Option<i32> {
        if size == 0 {
            return Some(0);
        }
        // 12-bit samples need up to 15 bits.
        if size > 15 {
            return None;
        }
        let mut value = 0i32;
        for _ in 0..size {
            value = value << 1 | self.next()? as i32;
        }
        Some(if value < 1 << (size - 1) { value - (1 << size) + 1 } else { value })
    }

    /// Past a restart marker.
    fn restart(&mut self) -> Option<()> {
        self.n_held = 0;
        let [0xFF, 0xD0..=0xD7] = self.data.get(self.at..self.at + 2)? else { return None };
        self.at += 2;
        Some(())
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a failed test may panic")]
mod tests {
    use super::*;

    /// 8 × 8 of 12 bits with one coefficient: the mean, 2048 + 5 · 16 / 8.
    fn flat() -> Vec<u8> {
        let mut bytes = vec![0xFF, 0xD8];
        // Quantisation 16 everywhere.
        bytes.extend([0xFF, 0xDB, 0, 67, 0]);
        bytes.extend([16; 64]);
        bytes.extend([0xFF, 0xC1, 0, 11, 12, 0, 8, 0, 8, 1, 1, 0x11, 0]);
        // One code of two bits, 00: for the mean a difference of 3 bits, else the end of the block.
        for (class, symbol) in [(0x00, 3), (0x10, 0)] {
            bytes.extend([0xFF, 0xC4, 0, 20, class, 0, 1]);
            bytes.extend([0; 14]);
            bytes.push(symbol);
        }
        bytes.extend([0xFF, 0xDA, 0, 8, 1, 1, 0, 0, 63, 0]);
        // 00 101 00 and a filling bit.
        bytes.extend([0b0010_1001, 0xFF, 0xD9]);
        bytes
    }

    #[test]
    fn a_flat_block_is_its_mean() {
        let grey = decode(&flat(), 8, 8).unwrap();
        assert_eq!(grey.values, vec![2048 + 10; 64]);
    }

    #[test]
    fn the_inverse_transform_is_that_of_the_standard() {
        // A single coefficient at (v, u) = (2, 3).
        let mut coefficients = [0.0; 64];
        coefficients[2 * 8 + 3] = 100.0;
        let samples = inverse_dct(&coefficients, &cosines());
        for y in 0..8 {
            for x in 0..8 {
                let angle =
                    |i: usize, f: f64| ((2 * i + 1) as f64 * f * std::f64::consts::PI / 16.0).cos();
                let expected = 25.0 * angle(y, 2.0) * angle(x, 3.0);
                assert!((f64::from(samples[y * 8 + x]) - expected).abs() < 1e-4);
            }
        }
    }

    #[test]
    fn damage_is_none_and_no_panic() {
        let whole = flat();
        for n in 0..whole.len() - 2 {
            assert_eq!(decode(&whole[..n], 8, 8), None, "cut at {n}");
        }
        assert_eq!(decode(&whole, 8, 16), None, "another size");
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut bytes = whole.clone();
                bytes[at] ^= 1 << bit;
                let _ = decode(&bytes, 8, 8);
            }
        }
    }
}
