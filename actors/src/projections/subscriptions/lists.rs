//! Many short lists in few allocations.

use super::lexicon::push_tightly;

/// Lists of all lengths. A list lies in a block of the next power of two; blocks of one size lie together.
#[derive(Debug, Clone)]
pub(super) struct Lists<T> {
    sizes: Vec<Size<T>>,
}

#[derive(Debug, Clone)]
struct Size<T> {
    blocks: Vec<T>,
    /// By block: how much of it is used.
    lens: Vec<u32>,
    free: Vec<u32>,
}

/// Where a list is. It moves when it grows or shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place(u32);

/// Bits of a place that number the block; the others tell its size. One bit is left to whoever stores a place.
const BLOCK_BITS: u32 = 26;

impl Place {
    /// The place as 31 bits.
    pub(super) fn bits(self) -> u32 {
        self.0
    }

    /// A place from its bits.
    pub(super) fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    fn new(size: usize, block: u32) -> Self {
        assert!(
            block < 1 << BLOCK_BITS,
            "memory ends before there are so many lists"
        );
        Self((size as u32) << BLOCK_BITS | block)
    }

    fn size(self) -> usize {
        (self.0 >> BLOCK_BITS) as usize
    }

    fn block(self) -> usize {
        (self.0 & ((1 << BLOCK_BITS) - 1)) as usize
    }

    fn start(self) -> usize {
        self.block() << self.size()
    }
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self { sizes: Vec::new() }
    }
}

impl<T: Copy> Lists<T> {
    /// The items of a list.
    #[inline]
    pub(super) fn get(&self, place: Place) -> &[T] {
        let size = &self.sizes[place.size()];
        &size.blocks[place.start()..][..size.lens[place.block()] as usize]
    }

    /// The items of a list, to change them.
    pub(super) fn get_mut(&mut self, place: Place) -> &mut [T] {
        let size = &mut self.sizes[place.size()];
        &mut size.blocks[place.start()..][..size.lens[place.block()] as usize]
    }

    /// A new list of these items, at least one.
    pub(super) fn create(&mut self, items: &[T]) -> Place {
        let exponent = items.len().next_power_of_two().trailing_zeros() as usize;
        while self.sizes.len() <= exponent {
            self.sizes.push(Size {
                blocks: Vec::new(),
                lens: Vec::new(),
                free: Vec::new(),
            });
        }
        let size = &mut self.sizes[exponent];
        let block = size.free.pop().unwrap_or_else(|| {
            let block = size.lens.len() as u32;
            push_tightly(&mut size.lens, 0);
            // What fills the block is never read.
            (0..1 << exponent).for_each(|_| push_tightly(&mut size.blocks, items[0]));
            block
        });
        let place = Place::new(exponent, block);
        size.blocks[place.start()..][..items.len()].copy_from_slice(items);
        size.lens[place.block()] = items.len() as u32;
        place
    }

    /// Appends an item and says where the list is now.
    pub(super) fn push(&mut self, place: Place, item: T) -> Place {
        let size = &mut self.sizes[place.size()];
        let len = &mut size.lens[place.block()];
        if (*len as usize) < 1 << place.size() {
            size.blocks[place.start() + *len as usize] = item;
            *len += 1;
            return place;
        }
        let mut items = Vec::with_capacity(*len as usize + 1);
        items.extend_from_slice(self.get(place));
        items.push(item);
        self.free(place);
        self.create(&items)
    }

    /// Puts the last item in the place of one, and says where the list is now: nowhere if it was the last.
    pub(super) fn swap_remove(&mut self, place: Place, at: usize) -> Option<Place> {
        let items = self.get_mut(place);
        items[at] = items[items.len() - 1];
        let len = items.len() - 1;
        self.sizes[place.size()].lens[place.block()] = len as u32;
        if len == 0 {
            self.free(place);
            return None;
        }
        if len > (1 << place.size()) / 4 {
            return Some(place);
        }
        let items = self.get(place).to_vec();
        self.free(place);
        Some(self.create(&items))
    }

    /// Ends a list.
    pub(super) fn free(&mut self, place: Place) {
        let size = &mut self.sizes[place.size()];
        push_tightly(&mut size.free, place.block() as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_do_not_get_into_each_others_way(steps in prop::collection::vec((0..5_usize, any::<bool>(), any::<u32>()), 1..500)) {
            let mut lists = Lists::default();
            let mut known: [(Option<Place>, Vec<u32>); 5] = Default::default();
            for (which, add, item) in steps {
                let (place, items) = &mut known[which];
                if add {
                    *place = Some(match *place {
                        Some(place) => lists.push(place, item),
                        None => lists.create(&[item]),
                    });
                    items.push(item);
                } else if let Some(there) = *place {
                    let at = item as usize % items.len();
                    *place = lists.swap_remove(there, at);
                    items.swap_remove(at);
                }
                for (place, items) in &known {
                    prop_assert_eq!(place.map(|place| lists.get(place)).unwrap_or_default(), &**items);
                }
            }
        }
    }
}
