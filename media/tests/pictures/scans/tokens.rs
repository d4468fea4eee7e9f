//! What one scan says, and the code that fits it best.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Scan;

/// What a scan says, before it is known how.
#[derive(Default)]
pub(super) struct Tokens {
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
    pub(super) fn restart(&mut self) {
        self.end_run();
        self.said.push(Token::Restart(self.restarts));
        self.restarts = (self.restarts + 1) % 8;
        self.predictions = [0; 3];
    }

    pub(super) fn block(&mut self, component: usize, block: &[i32; 64], scan: &Scan) {
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
    pub(super) fn end_run(&mut self) {
        if self.ended > 0 {
            let size = self.ended.ilog2();
            self.said.push(Token::Symbol(1, (size as u8) << 4));
            self.said.push(Token::Bits(size, self.ended - (1 << size)));
            self.ended = 0;
            let mut corrections = std::mem::take(&mut self.corrections);
            self.correct(&mut corrections);
        }
    }

    pub(super) fn write(&self, file: &mut Vec<u8>, header: &[u8]) {
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

pub(super) fn segment(file: &mut Vec<u8>, marker: u8, data: &[u8]) {
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
