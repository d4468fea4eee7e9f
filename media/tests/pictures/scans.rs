//! JPEG files whose scans are chosen: encoders at hand write none that refine others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::f32::consts::PI;

use image::RgbImage;

/// One scan.
#[derive(Clone, Copy)]
pub(crate) struct Scan {
    /// Which components: 0 is luma, 1 and 2 are chroma.
    pub(crate) components: &'static [usize],
    /// The first and the last coefficient, in the order of the file.
    pub(crate) band: (usize, usize),
    /// How many of their lowest bits scans before have left, 0 if there was none.
    pub(crate) high: u8,
    /// How many of their lowest bits it leaves.
    pub(crate) low: u8,
}

const fn scan(components: &'static [usize], band: (usize, usize), high: u8, low: u8) -> Scan {
    Scan {
        components,
        band,
        high,
        low,
    }
}

/// Baseline.
pub(crate) const SEQUENTIAL: &[Scan] = &[scan(&[0, 1, 2], (0, 63), 0, 0)];

/// What libjpeg writes when it is asked for a progressive file and told nothing else.
pub(crate) const USUAL: &[Scan] = &[
    scan(&[0, 1, 2], (0, 0), 0, 1),
    scan(&[0], (1, 5), 0, 2),
    scan(&[2], (1, 63), 0, 1),
    scan(&[1], (1, 63), 0, 1),
    scan(&[0], (6, 63), 0, 2),
    scan(&[0], (1, 63), 2, 1),
    scan(&[0, 1, 2], (0, 0), 1, 0),
    scan(&[2], (1, 63), 1, 0),
    scan(&[1], (1, 63), 1, 0),
    scan(&[0], (1, 63), 1, 0),
];

/// Bands whose bounds are none of a scaled block's, each refined several times and in parts, and
/// fine detail that comes before coarse.
pub(crate) const UNUSUAL: &[Scan] = &[
    scan(&[0], (40, 63), 0, 1),
    scan(&[1], (0, 0), 0, 3),
    scan(&[0], (7, 39), 0, 3),
    scan(&[0, 2], (0, 0), 0, 2),
    scan(&[0], (1, 6), 0, 0),
    scan(&[2], (1, 63), 0, 0),
    scan(&[0], (7, 20), 3, 2),
    scan(&[0], (21, 39), 3, 2),
    scan(&[1], (1, 1), 0, 0),
    scan(&[1], (2, 63), 0, 2),
    scan(&[0], (7, 39), 2, 1),
    scan(&[0], (7, 63), 1, 0),
    scan(&[0, 2], (0, 0), 2, 1),
    scan(&[0], (0, 0), 1, 0),
    scan(&[1], (0, 0), 3, 2),
    scan(&[1], (0, 0), 2, 1),
    scan(&[1, 2], (0, 0), 1, 0),
    scan(&[1], (2, 63), 2, 1),
    scan(&[1], (2, 63), 1, 0),
];

/// A picture as the coefficients that a file holds.
pub(crate) struct Quantised {
    size: (usize, usize),
    steps: [u8; 64],
    components: Vec<Component>,
}

struct Component {
    /// Blocks of a unit across and down.
    factors: (usize, usize),
    /// Blocks that show any of the picture, across and down.
    shown: (usize, usize),
    /// Blocks of a row, those beyond the picture included.
    across: usize,
    /// Coefficients in the order of the file.
    blocks: Vec<[i32; 64]>,
}

/// Places of a block in the order of the file: along its diagonals, up and down in turn.
fn zigzag() -> [(usize, usize); 64] {
    let mut places: Vec<_> = (0..64).map(|at| (at / 8, at % 8)).collect();
    places.sort_by_key(|&(row, column)| {
        let diagonal = row + column;
        (diagonal, if diagonal % 2 == 0 { column } else { row })
    });
    std::array::from_fn(|index| places[index])
}

impl Quantised {
    /// Luma has so many blocks across and down for one of chroma; `step` is that of the mean, those of
    /// finer detail are larger.
    pub(crate) fn new(picture: &RgbImage, factors: (usize, usize), step: u8) -> Self {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let steps =
            zigzag().map(|(row, column)| step + (usize::from(step) * (row + column) / 6) as u8);
        let units = (
            width.div_ceil(8 * factors.0),
            height.div_ceil(8 * factors.1),
        );
        let matrix = [
            ([0.299, 0.587, 0.114], 0.0),
            ([-0.168_736, -0.331_264, 0.5], 128.0),
            ([0.5, -0.418_688, -0.081_312], 128.0),
        ];
        let components = (0..3).map(|index| {
            let (by, middle) = matrix[index];
            let own = if index == 0 { factors } else { (1, 1) };
            let (x_step, y_step) = (factors.0 / own.0, factors.1 / own.1);
            let sample = |x: usize, y: usize| {
                let mut sum = 0.0;
                for at in 0..x_step * y_step {
                    let x = (x * x_step + at % x_step).min(width - 1);
                    let y = (y * y_step + at / x_step).min(height - 1);
                    let pixel = picture.get_pixel(x as u32, y as u32).0;
                    sum += pixel
                        .iter()
                        .zip(by)
                        .map(|(p, by)| f32::from(*p) * by)
                        .sum::<f32>();
                }
                sum / (x_step * y_step) as f32 + middle - 128.0
            };
            let across = units.0 * own.0;
            let block = |at: usize| {
                let (left, top) = (at % across * 8, at / across * 8);
                transformed(|x, y| sample(left + x, top + y), &steps)
            };
            Component {
                factors: own,
                shown: (
                    width.div_ceil(x_step).div_ceil(8),
                    height.div_ceil(y_step).div_ceil(8),
                ),
                across,
                blocks: (0..across * units.1 * own.1).map(block).collect(),
            }
        });
        Self {
            size: (width, height),
            steps,
            components: components.collect(),
        }
    }

    /// The luma alone.
    pub(crate) fn grey(mut self) -> Self {
        self.components.truncate(1);
        // The factors of a single component mean nothing.
        self.components[0].factors = (1, 1);
        self
    }

    /// The file; scans of components that it lacks are left out.
    pub(crate) fn file(&self, scans: &[Scan], restart_interval: usize) -> Vec<u8> {
        let mut file = vec![0xff, 0xd8];
        segment(&mut file, 0xdb, &[&[0][..], &self.steps].concat());
        let [height, width] = [self.size.1, self.size.0].map(|side| (side as u16).to_be_bytes());
        let mut frame = [&[8][..], &height, &width, &[self.components.len() as u8]].concat();
        for (index, component) in self.components.iter().enumerate() {
            let (across, down) = component.factors;
            frame.extend([index as u8 + 1, (across << 4 | down) as u8, 0]);
        }
        let sequential = scans.iter().any(|scan| scan.band == (0, 63));
        segment(&mut file, if sequential { 0xc0 } else { 0xc2 }, &frame);
        segment(&mut file, 0xdd, &(restart_interval as u16).to_be_bytes());
        for scan in scans {
            let components: Vec<_> = scan
                .components
                .iter()
                .copied()
                .filter(|index| *index < self.components.len())
                .collect();
            if !components.is_empty() {
                self.write_scan(&mut file, scan, &components, restart_interval);
            }
        }
        file.extend([0xff, 0xd9]);
        file
    }

    fn write_scan(&self, file: &mut Vec<u8>, scan: &Scan, components: &[usize], interval: usize) {
        let mut tokens = Tokens::default();
        for (at, unit) in self.units(components).into_iter().enumerate() {
            if interval > 0 && at > 0 && at % interval == 0 {
                tokens.restart();
            }
            for (component, block) in unit {
                tokens.block(component, &self.components[component].blocks[block], scan);
            }
        }
        tokens.end_run();
        let mut header = vec![components.len() as u8];
        header.extend(components.iter().flat_map(|index| [*index as u8 + 1, 0]));
        header.extend([
            scan.band.0 as u8,
            scan.band.1 as u8,
            scan.high << 4 | scan.low,
        ]);
        tokens.write(file, &header);
    }

    /// The blocks of each unit of a scan: component and number.
    fn units(&self, components: &[usize]) -> Vec<Vec<(usize, usize)>> {
        if let [index] = *components {
            let Component { shown, across, .. } = self.components[index];
            let places = (0..shown.1).flat_map(|y| (0..shown.0).map(move |x| y * across + x));
            return places.map(|at| vec![(index, at)]).collect();
        }
        let first = &self.components[components[0]];
        let across = first.across / first.factors.0;
        let down = first.blocks.len() / first.across / first.factors.1;
        let unit = |at: usize| {
            let blocks = components.iter().flat_map(|&index| {
                let Component {
                    factors,
                    across: row,
                    ..
                } = self.components[index];
                let (x, y) = (at % across * factors.0, at / across * factors.1);
                (0..factors.0 * factors.1).map(move |block| {
                    let (x, y) = (x + block % factors.0, y + block / factors.0);
                    (index, y * row + x)
                })
            });
            blocks.collect()
        };
        (0..across * down).map(unit).collect()
    }
}

/// The cosine transform of a block, quantised, in the order of the file.
fn transformed(sample: impl Fn(usize, usize) -> f32, steps: &[u8; 64]) -> [i32; 64] {
    let wave = |k: usize, n: usize| {
        let scale = if k == 0 { 0.125f32.sqrt() } else { 0.5 };
        scale * ((2 * n + 1) as f32 * k as f32 * PI / 16.0).cos()
    };
    let waves: [[f32; 8]; 8] = std::array::from_fn(|k| std::array::from_fn(|n| wave(k, n)));
    let dot =
        |line: [f32; 8], k: usize| -> f32 { line.iter().zip(waves[k]).map(|(s, w)| s * w).sum() };
    let rows: [[f32; 8]; 8] = std::array::from_fn(|y| {
        let line = std::array::from_fn(|x| sample(x, y));
        std::array::from_fn(|k| dot(line, k))
    });
    let order = zigzag();
    std::array::from_fn(|index| {
        let (row, column) = order[index];
        let level = dot(rows.map(|line| line[column]), row);
        (level / f32::from(steps[index])).round() as i32
    })
}

/// What a scan says, before it is known how.
#[derive(Default)]
struct Tokens {
    said: Vec<Token>,
    predictions: [i32; 3],
    /// How many blocks ended that no token tells of yet.
    ended: u32,
    /// Bits that follow that token.
    corrections: Vec<bool>,
    restarts: u8,
}

#[derive(Clone, Copy)]
enum Token {
    /// A symbol of the table of DC (0) or AC (1) coefficients.
    Symbol(usize, u8),
    /// How many bits, and which.
    Bits(u32, u32),
    Restart(u8),
}

impl Tokens {
    fn restart(&mut self) {
        self.end_run();
        self.said.push(Token::Restart(self.restarts));
        self.restarts = (self.restarts + 1) % 8;
        self.predictions = [0; 3];
    }

    fn block(&mut self, component: usize, block: &[i32; 64], scan: &Scan) {
        let (first, last) = scan.band;
        if first == 0 {
            let level = block[0] >> scan.low;
            if scan.high > 0 {
                self.said.push(Token::Bits(1, (level & 1) as u32));
                return;
            }
            let difference = level - std::mem::replace(&mut self.predictions[component], level);
            self.value(0, 0, difference);
        }
        let levels = |index: usize| (index, block[index].abs() >> scan.low, block[index] < 0);
        let levels: Vec<_> = (first.max(1)..=last).map(levels).collect();
        if scan.high > 0 {
            return self.refined(&levels);
        }
        let mut run = 0;
        for &(_, level, negative) in &levels {
            if level == 0 {
                run += 1;
                continue;
            }
            self.end_run();
            while run > 15 {
                self.said.push(Token::Symbol(1, 0xf0));
                run -= 16;
            }
            self.value(1, run, if negative { -level } else { level });
            run = 0;
        }
        if run > 0 {
            self.ended += 1;
            // A sequential file knows no end of several blocks.
            if first == 0 || self.ended == 0x7fff {
                self.end_run();
            }
        }
    }

    fn refined(&mut self, levels: &[(usize, i32, bool)]) {
        let newest = levels.iter().rposition(|(_, level, _)| *level == 1);
        let (mut run, mut corrections) = (0, Vec::new());
        for (at, &(_, level, negative)) in levels.iter().enumerate() {
            if level == 0 {
                run += 1;
                continue;
            }
            while run > 15 && Some(at) <= newest {
                self.end_run();
                self.said.push(Token::Symbol(1, 0xf0));
                self.correct(&mut corrections);
                run -= 16;
            }
            if level > 1 {
                corrections.push(level & 1 == 1);
                continue;
            }
            self.end_run();
            self.said.push(Token::Symbol(1, (run << 4 | 1) as u8));
            self.said.push(Token::Bits(1, u32::from(!negative)));
            self.correct(&mut corrections);
            run = 0;
        }
        if run > 0 || !corrections.is_empty() {
            self.ended += 1;
            self.corrections.append(&mut corrections);
            if self.ended == 0x7fff {
                self.end_run();
            }
        }
    }

    fn correct(&mut self, corrections: &mut Vec<bool>) {
        let bits = corrections
            .drain(..)
            .map(|bit| Token::Bits(1, u32::from(bit)));
        self.said.extend(bits);
    }

    fn value(&mut self, table: usize, run: i32, value: i32) {
        let size = 32 - value.unsigned_abs().leading_zeros();
        self.said
            .push(Token::Symbol(table, (run << 4) as u8 | size as u8));
        let bits = if value < 0 { value - 1 } else { value };
        self.said
            .push(Token::Bits(size, bits as u32 & ((1 << size) - 1)));
    }

    /// Tells of the blocks that ended.
    fn end_run(&mut self) {
        if self.ended > 0 {
            let size = self.ended.ilog2();
            self.said.push(Token::Symbol(1, (size as u8) << 4));
            self.said.push(Token::Bits(size, self.ended - (1 << size)));
            self.ended = 0;
            let mut corrections = std::mem::take(&mut self.corrections);
            self.correct(&mut corrections);
        }
    }

    fn write(&self, file: &mut Vec<u8>, header: &[u8]) {
        let mut codes = [[(0, 0); 256]; 2];
        for (class, codes) in codes.iter_mut().enumerate() {
            let mut counts = [0; 256];
            for token in &self.said {
                if let Token::Symbol(table, symbol) = *token {
                    counts[usize::from(symbol)] += u64::from(table == class);
                }
            }
            if counts == [0; 256] {
                continue;
            }
            let lengths = lengths(counts);
            let mut symbols: Vec<_> = (0..=u8::MAX)
                .filter(|s| lengths[usize::from(*s)] > 0)
                .collect();
            symbols.sort_by_key(|symbol| lengths[usize::from(*symbol)]);
            let mut table = vec![(class as u8) << 4];
            table.extend(
                (1..=16).map(|length| lengths.iter().filter(|l| **l == length).count() as u8),
            );
            table.extend(&symbols);
            segment(file, 0xc4, &table);
            let (mut next, mut before) = (0, 0);
            for symbol in symbols {
                let length = lengths[usize::from(symbol)];
                next <<= length - before;
                codes[usize::from(symbol)] = (length, next);
                (next, before) = (next + 1, length);
            }
        }
        segment(file, 0xda, header);
        let mut bits = Bits {
            file,
            buffer: 0,
            count: 0,
        };
        for token in &self.said {
            match *token {
                Token::Symbol(table, symbol) => {
                    let (length, code) = codes[table][usize::from(symbol)];
                    bits.put(length, code);
                }
                Token::Bits(length, value) => bits.put(length, value),
                Token::Restart(number) => {
                    bits.fill();
                    bits.file.extend([0xff, 0xd0 + number]);
                }
            }
        }
        bits.fill();
    }
}

/// The lengths of the best code, none above 16, and no code of ones only: after Huffman.
fn lengths(mut counts: [u64; 256]) -> [u32; 256] {
    loop {
        // The last symbol is none, and has the code of ones only.
        let used = (0..256).filter(|symbol| counts[*symbol] > 0);
        let mut heap: BinaryHeap<_> = used
            .map(|symbol| Reverse((counts[symbol], vec![symbol])))
            .chain([Reverse((0, vec![256]))])
            .collect();
        let mut lengths = [0; 257];
        while let (Some(Reverse((a, mut symbols))), Some(Reverse((b, others)))) =
            (heap.pop(), heap.pop())
        {
            symbols.extend(others);
            for symbol in &symbols {
                lengths[*symbol] += 1;
            }
            heap.push(Reverse((a + b, symbols)));
        }
        if lengths.iter().all(|length| *length <= 16) {
            return std::array::from_fn(|symbol| lengths[symbol]);
        }
        counts = counts.map(|count| count.div_ceil(2));
    }
}

fn segment(file: &mut Vec<u8>, marker: u8, data: &[u8]) {
    file.extend([0xff, marker]);
    file.extend((data.len() as u16 + 2).to_be_bytes());
    file.extend(data);
}

struct Bits<'a> {
    file: &'a mut Vec<u8>,
    buffer: u64,
    count: u32,
}

impl Bits<'_> {
    fn put(&mut self, length: u32, value: u32) {
        self.buffer = self.buffer << length | u64::from(value);
        self.count += length;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.buffer >> self.count) as u8;
            self.file.push(byte);
            if byte == 0xff {
                self.file.push(0);
            }
        }
    }

    /// Fills the last byte with ones.
    fn fill(&mut self) {
        let spare = self.count.wrapping_neg() % 8;
        self.put(spare, (1 << spare) - 1);
    }
}
