//! What is kept of a component from scan to scan of a progressive file, until all of it is there.
//!
//! The coefficients of detail that a smaller plane does not show are not kept. Later scans that say
//! more of a block must be told apart bit by bit, though, and for that it is enough to know of each
//! coefficient whether it is zero.

use super::script::Places;
use crate::jpeg::component::Component;
use crate::jpeg::{NATURAL_ORDER, Refusal, kernels};

/// The coefficients of one component.
pub(super) struct Coefficients {
    /// Those kept, block after block, each row by row.
    kept: Vec<i16>,
    /// Which are not zero, of each block.
    nonzero: Vec<Places>,
    /// Blocks of a row.
    pub(super) across: usize,
    layout: &'static Layout,
    side: usize,
}

/// One block of them.
pub(super) struct Block<'a> {
    kept: &'a mut [i16],
    layout: &'static Layout,
    pub(super) nonzero: &'a mut Places,
}

/// What is kept of each block.
struct Layout {
    /// Where each coefficient is, in the order of the file; of those not kept beyond every block.
    at: [u8; 64],
    shown: Places,
}

impl Layout {
    /// The coefficients that `side` by `side` samples are made of, row by row.
    const fn new(side: u8) -> Self {
        let (mut at, mut shown) = ([u8::MAX; 64], 0);
        let mut index = 0;
        while index < 64 {
            let (row, column) = (NATURAL_ORDER[index] / 8, NATURAL_ORDER[index] % 8);
            if row < side && column < side {
                at[index] = row * side + column;
                shown |= 1 << index;
            }
            index += 1;
        }
        Self { at, shown }
    }

    fn of(side: usize) -> &'static Self {
        static LAYOUTS: [Layout; 4] = [
            Layout::new(1),
            Layout::new(2),
            Layout::new(4),
            Layout::new(8),
        ];
        &LAYOUTS[side.ilog2() as usize]
    }
}

impl Coefficients {
    pub(super) fn new(component: &Component) -> Self {
        let side = component.side;
        let across = component.plane.stride() / side;
        let blocks = across * (component.plane.rows() / side);
        Self {
            kept: vec![0; blocks * side * side],
            nonzero: vec![0; blocks],
            across,
            layout: Layout::of(side),
            side,
        }
    }

    /// Which coefficients of a block are kept.
    pub(super) fn shown(&self) -> Places {
        self.layout.shown
    }

    #[inline(always)]
    pub(super) fn block(&mut self, at: usize) -> Block<'_> {
        let length = self.side * self.side;
        Block {
            kept: &mut self.kept[at * length..][..length],
            layout: self.layout,
            nonzero: &mut self.nonzero[at],
        }
    }

    /// Makes the plane. `cancel` is asked before each row of blocks.
    pub(super) fn transform(
        self,
        component: &mut Component,
        steps: &[i16; 64],
        cancel: &dyn Fn() -> bool,
    ) -> Result<(), Refusal> {
        match self.side {
            8 => self.transform_by::<8>(component, steps, cancel),
            4 => self.transform_by::<4>(component, steps, cancel),
            2 => self.transform_by::<2>(component, steps, cancel),
            _ => self.transform_by::<1>(component, steps, cancel),
        }
    }

    fn transform_by<const SIDE: usize>(
        self,
        component: &mut Component,
        steps: &[i16; 64],
        cancel: &dyn Fn() -> bool,
    ) -> Result<(), Refusal> {
        let stride = component.plane.stride();
        let rows = self.kept.chunks_exact(self.across * SIDE * SIDE);
        let mut natural = [0; 64];
        for (row, blocks) in rows.enumerate() {
            if cancel() {
                return Err(Refusal::Cancelled);
            }
            for (column, block) in blocks.chunks_exact(SIDE * SIDE).enumerate() {
                let at = row * SIDE * stride + column * SIDE;
                if block[1..].iter().all(|level| *level == 0) {
                    let sample = kernels::flat::<SIDE>(block[0], steps[0]);
                    component.plane.store(at, [[sample; SIDE]; SIDE]);
                    continue;
                }
                let lines = natural.chunks_exact_mut(8);
                for (line, kept) in lines.zip(block.chunks_exact(SIDE)) {
                    line[..SIDE].copy_from_slice(kept);
                }
                let samples = kernels::inverse::<SIDE>(&natural, steps);
                component.plane.store(at, samples);
            }
        }
        Ok(())
    }
}

impl Block<'_> {
    /// All coefficients up to the last that is kept.
    #[inline(always)]
    pub(super) fn nearest(&self) -> Places {
        u64::MAX >> self.layout.shown.leading_zeros()
    }

    /// The coefficient that is the mean of the block.
    #[inline(always)]
    pub(super) fn mean(&mut self) -> &mut i16 {
        &mut self.kept[0]
    }

    /// A coefficient, if it is kept.
    #[inline(always)]
    pub(super) fn kept_mut(&mut self, index: usize) -> Option<&mut i16> {
        self.kept.get_mut(usize::from(self.layout.at[index]))
    }

    /// Stores a coefficient that was zero.
    #[inline(always)]
    pub(super) fn put(&mut self, index: usize, level: i16) {
        if let Some(kept) = self.kept_mut(index) {
            *kept = level;
        }
        *self.nonzero |= Places::from(level != 0) << index;
    }
}
