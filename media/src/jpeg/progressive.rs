//! A progressive file: T.81, annex G. Each scan brings some coefficients of all blocks, or one more
//! bit of them, so that all are kept until the last scan is read.
//!
//! # Layout
//!
//! - `script`: which scans there are, and what of them is wanted
//! - `coefficients`: what is kept from scan to scan
//! - `dc`, `ac`, `refinement`: the scans

mod ac;
mod coefficients;
mod dc;
mod refinement;
mod script;

use super::Refusal;
use super::component::Component;
use super::huffman::{Code, Symbols, Table};
use super::segment::{ScanHeader, Tables};
use super::units;
use coefficients::Coefficients;
use script::{Places, Script};

/// A progressive picture, as far as it is read.
pub(super) struct Progressive {
    /// Of each component.
    channels: Vec<Channel>,
    /// What is wanted of each scan to come, up to the last of which anything is. The next one is
    /// last.
    wanted: Vec<Places>,
}

struct Channel {
    coefficients: Coefficients,
    /// Known since its first scan.
    steps: Option<[i16; 64]>,
}

impl Progressive {
    /// `rest` is what follows the frame header.
    pub(super) fn new(rest: &[u8], components: &[Component]) -> Result<Self, Refusal> {
        let script = Script::read(rest, components)?;
        let channel = |component| Channel {
            coefficients: Coefficients::new(component),
            steps: None,
        };
        let channels: Vec<_> = components.iter().map(channel).collect();
        let shown = channels.iter().map(|channel| channel.coefficients.shown());
        let mut wanted = script.wanted(shown.collect());
        while wanted.pop_if(|places| *places == 0).is_some() {}
        wanted.reverse();
        Ok(Self { channels, wanted })
    }

    /// Tells whether all that is wanted was read.
    pub(super) fn complete(&self) -> bool {
        self.wanted.is_empty()
    }

    /// Reads the next scan; returns what follows it, or the scan itself if it is not wanted.
    pub(super) fn read<'a>(
        &mut self,
        bytes: &'a [u8],
        header: &ScanHeader,
        tables: &Tables<'_>,
        components: &[Component],
        cancel: &dyn Fn() -> bool,
    ) -> Result<&'a [u8], Refusal> {
        let wanted = self.wanted.pop().unwrap_or(0);
        if wanted == 0 {
            return Ok(bytes);
        }
        let mut size = None;
        let interleaved = header.parts.len() > 1;
        let mut parts = Vec::with_capacity(header.parts.len());
        for (component, channel) in components.iter().zip(&mut self.channels) {
            let Some(part) = header.parts.iter().find(|part| part.id == component.id()) else {
                continue;
            };
            if channel.steps.is_none() {
                channel.steps = Some(tables.steps(component.frame.quantisation)?);
            }
            size = Some(component.units(interleaved));
            let unit = component.unit(interleaved);
            parts.push((part, unit, &mut channel.coefficients));
        }
        let size = size.expect("the script has no scan without a component of the frame");
        let interval = usize::from(tables.restart_interval);
        if *header.band.start() == 0 {
            let mut reader = dc::Scan::new(header.low);
            for (part, unit, coefficients) in parts {
                let first = header.high == 0;
                let table = first.then(|| table(&tables.dc, part.dc, Symbols::Sequential));
                reader.add(coefficients, unit, table.transpose()?);
            }
            return units::each(bytes, size, interval, &mut reader, cancel);
        }
        let (part, _, coefficients) = parts.pop().expect("it has a component");
        let table = table(&tables.ac, part.ac, Symbols::Progressive)?;
        if header.high == 0 {
            let mut reader = ac::Scan::new(coefficients, table, header, wanted);
            units::each(bytes, size, interval, &mut reader, cancel)
        } else {
            let mut reader = refinement::Scan::new(coefficients, table, header);
            units::each(bytes, size, interval, &mut reader, cancel)
        }
    }

    /// Makes the planes of what was read.
    pub(super) fn transform(
        self,
        components: &mut [Component],
        cancel: &dyn Fn() -> bool,
    ) -> Result<(), Refusal> {
        for (component, channel) in components.iter_mut().zip(self.channels) {
            let steps = channel
                .steps
                .expect("the script has a scan of each component");
            channel.coefficients.transform(component, &steps, cancel)?;
        }
        Ok(())
    }
}

fn table<'a>(
    codes: &[Option<Code<'a>>],
    number: u8,
    symbols: Symbols,
) -> Result<Table<'a>, Refusal> {
    let code = codes.get(usize::from(number)).copied().flatten();
    let code = code.ok_or(Refusal::Corrupt("a Huffman table is missing"))?;
    Table::new(code, symbols)
}
