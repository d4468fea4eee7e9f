//! From planes to a baseline JPEG, 4:2:0 or grey, with the Huffman codes that fit it best.
//!
//! Coefficients become tokens first and bits in a second pass, when it is known how often each
//! symbol occurs. Such codes are a hundredth to a fiftieth smaller than the usual ones of T.81, and
//! cost next to nothing: there are far fewer tokens than coefficients.

mod bits;
mod code;
mod token;

use std::ops::Range;

use super::NATURAL_ORDER;
use crate::planes::{Plane, Planes};
use bits::BitWriter;
use code::Code;
use token::{Channel, Frequencies, Tokens};

/// Units whose tokens are kept between the passes: a little more than thumbnails have. Those of a
/// larger picture are made twice, so that memory stays bounded.
const UNITS_KEPT_MAX: usize = 8_192;

/// Steps of the luma at quality 50, in the order of a block's rows: T.81, table K.1.
const LUMA_STEPS: [u8; 64] = [
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56,
    14, 17, 22, 29, 51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113,
    92, 49, 64, 78, 87, 103, 121, 120, 101, 72, 92, 95, 98, 112, 100, 103, 99,
];

/// Steps of the chroma at quality 50: T.81, table K.2. All others are 99.
const CHROMA_STEPS: [u8; 64] = {
    let mut steps = [99; 64];
    let low = [
        (0, 17),
        (1, 18),
        (2, 24),
        (3, 47),
        (8, 18),
        (9, 21),
        (10, 26),
        (11, 66),
        (16, 24),
        (17, 26),
        (18, 56),
        (24, 47),
        (25, 66),
    ];
    let mut i = 0;
    while i < low.len() {
        steps[low[i].0] = low[i].1;
        i += 1;
    }
    steps
};

/// Encodes planes whose chroma, if any, has half the samples of the luma in both directions.
/// `quality` is 1 to 100, by the scale of libjpeg.
///
/// # Panics
/// Above 65,535 pixels a side, which no JPEG has; presets are far below.
pub(crate) fn encode(planes: &Planes, quality: u8) -> Vec<u8> {
    let luma = steps(&LUMA_STEPS, quality);
    let chroma = steps(&CHROMA_STEPS, quality);
    let mut channels = vec![Channel::new(&planes.luma, &luma, false)];
    for plane in planes.chroma.iter().flatten() {
        channels.push(Channel::new(plane, &chroma, true));
    }
    let mut picture = Units::of(planes, channels);

    let mut tokens = Tokens::default();
    let mut frequencies = Frequencies::default();
    let batches = picture.batches();
    for batch in &batches {
        tokens.clear();
        picture.read(batch.clone(), &mut tokens);
        tokens.count(&mut frequencies);
    }
    let codes = frequencies.each().map(Code::best_for);

    let mut file = Vec::with_capacity(picture.units() * 64);
    write_headers(&mut file, planes, &[luma, chroma], &codes);
    let mut writer = BitWriter::new(file);
    picture.rewind();
    for batch in &batches {
        if batches.len() > 1 {
            tokens.clear();
            picture.read(batch.clone(), &mut tokens);
        }
        tokens.write(&codes, &mut writer);
    }
    let mut file = writer.finish();
    file.extend([0xff, 0xd9]);
    file
}

/// Steps at a quality, as libjpeg scales them.
fn steps(base: &[u8; 64], quality: u8) -> [u8; 64] {
    let quality = u32::from(quality.clamp(1, 100));
    let percent = if quality < 50 {
        5_000 / quality
    } else {
        200 - 2 * quality
    };
    base.map(|step| ((u32::from(step) * percent + 50) / 100).clamp(1, 255) as u8)
}

/// The picture in the order of the file: units of four blocks of luma and one of each chroma, or of
/// one block.
struct Units<'a> {
    channels: Vec<Channel<'a>>,
    across: usize,
    down: usize,
}

impl<'a> Units<'a> {
    fn of(planes: &Planes, channels: Vec<Channel<'a>>) -> Self {
        let side = if channels.len() > 1 { 16 } else { 8 };
        Self {
            channels,
            across: planes.width.div_ceil(side) as usize,
            down: planes.height.div_ceil(side) as usize,
        }
    }

    fn units(&self) -> usize {
        self.across * self.down
    }

    /// Rows of units whose tokens are made at once.
    fn batches(&self) -> Vec<Range<usize>> {
        let rows = (UNITS_KEPT_MAX / self.across).max(1);
        let starts = (0..self.down).step_by(rows);
        starts
            .map(|start| start..(start + rows).min(self.down))
            .collect()
    }

    fn read(&mut self, rows: Range<usize>, tokens: &mut Tokens) {
        for y in rows {
            for x in 0..self.across {
                let (luma, chroma) = self
                    .channels
                    .split_first_mut()
                    .expect("a picture has a luma");
                if chroma.is_empty() {
                    luma.read(x, y, tokens);
                    continue;
                }
                for (left, top) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                    luma.read(2 * x + left, 2 * y + top, tokens);
                }
                for channel in chroma {
                    channel.read(x, y, tokens);
                }
            }
        }
    }

    fn rewind(&mut self) {
        for channel in &mut self.channels {
            channel.rewind();
        }
    }
}

/// Everything before the bits: T.81, annex B, and JFIF.
fn write_headers(file: &mut Vec<u8>, planes: &Planes, steps: &[[u8; 64]; 2], codes: &[Code; 4]) {
    let side = |side: u32| u16::try_from(side).expect("presets are within the sides of a JPEG");
    let colours = if planes.chroma.is_some() { 3 } else { 1 };
    let tables = if colours == 3 { 2 } else { 1 };
    file.extend([0xff, 0xd8]);
    // Version 1.1, and pixels that are square.
    write_segment(file, 0xe0, b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0");
    for (number, steps) in (0u8..).zip(&steps[..tables]) {
        let mut payload = vec![number];
        payload.extend(NATURAL_ORDER.map(|place| steps[usize::from(place)]));
        write_segment(file, 0xdb, &payload);
    }
    let mut frame = vec![8];
    frame.extend(side(planes.height).to_be_bytes());
    frame.extend(side(planes.width).to_be_bytes());
    frame.push(colours);
    for id in 1..=colours {
        let factors = if id == 1 && colours == 3 { 0x22 } else { 0x11 };
        frame.extend([id, factors, u8::from(id > 1)]);
    }
    write_segment(file, 0xc0, &frame);
    for (number, code) in codes.iter().enumerate().take(2 * tables) {
        let (class, table) = (number as u8 % 2, number as u8 / 2);
        let mut payload = vec![class << 4 | table];
        payload.extend(code.lengths());
        payload.extend(code.symbols());
        write_segment(file, 0xc4, &payload);
    }
    let mut scan = vec![colours];
    for id in 1..=colours {
        let table = u8::from(id > 1);
        scan.extend([id, table << 4 | table]);
    }
    scan.extend([0, 63, 0]);
    write_segment(file, 0xda, &scan);
}

fn write_segment(file: &mut Vec<u8>, marker: u8, payload: &[u8]) {
    let length = u16::try_from(payload.len() + 2).expect("no table is that long");
    file.extend([0xff, marker]);
    file.extend(length.to_be_bytes());
    file.extend(payload);
}

/// Eight by eight samples of a plane; its edges are repeated beyond it.
fn block(plane: &Plane, x: usize, y: usize) -> [[u8; 8]; 8] {
    let (left, top) = (8 * x, 8 * y);
    let (stride, rows) = (plane.stride(), plane.rows());
    let mut block = [[0; 8]; 8];
    if left + 8 <= stride && top + 8 <= rows {
        let lines = plane.samples()[top * stride..].chunks(stride);
        for (to, line) in block.iter_mut().zip(lines) {
            to.copy_from_slice(&line[left..left + 8]);
        }
    } else {
        for (to, row) in block.iter_mut().zip(top..) {
            let start = row.min(rows - 1) * stride;
            let line = &plane.samples()[start..start + stride];
            *to = std::array::from_fn(|column| line[(left + column).min(stride - 1)]);
        }
    }
    block
}
