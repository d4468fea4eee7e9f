//! A component of the picture: how large its plane is made, and which blocks it is made of.

use super::segment::{Frame, FrameComponent};
use crate::planes::Plane;

/// Luma is decoded at least so many thirds as large as what is made of it. Nearer than that, what a
/// scaled transform has cut off is missed: similarity falls by more than a thousandth.
const MARGIN_THIRDS: u32 = 4;

/// One component of the picture, and its plane as far as it is decoded.
pub(super) struct Component {
    pub(super) frame: FrameComponent,
    /// Samples that become of the eight of a block's side: 8, 4, 2 or 1.
    pub(super) side: usize,
    /// Blocks in a scan of its own, which leaves out those beyond the picture.
    alone: Blocks,
    /// Units of a scan of all components.
    units: Blocks,
    pub(super) plane: Plane,
    /// Whether its scan was read.
    pub(super) complete: bool,
}

#[derive(Clone, Copy)]
pub(super) struct Blocks {
    pub(super) across: usize,
    pub(super) down: usize,
}

impl Component {
    /// Makes the components of a frame, each with a plane that is large enough to make a picture of
    /// the needed size from.
    pub(super) fn each(frame: &Frame, needed: (u32, u32)) -> Vec<Self> {
        // The factors of a single component say nothing: there is none to compare it with.
        let single = frame.components.len() == 1;
        let across = |component: &FrameComponent| if single { 1 } else { component.across };
        let down = |component: &FrameComponent| if single { 1 } else { component.down };
        let across_max = frame.components.iter().map(across).max().unwrap_or(1);
        let down_max = frame.components.iter().map(down).max().unwrap_or(1);
        let axis = |pixels: u16, factor: u8, factor_max: u8, needed: u32| Axis {
            pixels: usize::from(pixels),
            factor: usize::from(factor),
            factor_max: usize::from(factor_max),
            needed: needed as usize,
        };
        let component = |(index, frame_component): (usize, &FrameComponent)| {
            let share = |side: u32| match index {
                0 => (side * MARGIN_THIRDS).div_ceil(3),
                // Nobody sees colour as sharply.
                _ => side.div_ceil(2),
            };
            let (width, height) = (share(needed.0), share(needed.1));
            let x = axis(frame.width, across(frame_component), across_max, width);
            let y = axis(frame.height, down(frame_component), down_max, height);
            Self::new(*frame_component, &x, &y)
        };
        frame.components.iter().enumerate().map(component).collect()
    }

    fn new(frame: FrameComponent, x: &Axis, y: &Axis) -> Self {
        let enough = |side: &usize| x.enough(*side) && y.enough(*side);
        let side = [1, 2, 4].into_iter().find(enough).unwrap_or(8);
        Self {
            frame: FrameComponent {
                across: x.factor as u8,
                down: y.factor as u8,
                ..frame
            },
            side,
            alone: Blocks {
                across: x.samples().div_ceil(8),
                down: y.samples().div_ceil(8),
            },
            units: Blocks {
                across: x.units(),
                down: y.units(),
            },
            plane: Plane::within(
                (x.units() * x.factor * side, y.units() * y.factor * side),
                (x.extent(side), y.extent(side)),
            ),
            complete: false,
        }
    }

    pub(super) fn id(&self) -> u8 {
        self.frame.id
    }

    /// Units of a scan, of all components or of this one alone.
    pub(super) fn units(&self, interleaved: bool) -> Blocks {
        if interleaved { self.units } else { self.alone }
    }

    /// Its blocks in one unit of a scan.
    pub(super) fn unit(&self, interleaved: bool) -> Blocks {
        let (across, down) = (self.frame.across.into(), self.frame.down.into());
        let one = Blocks { across: 1, down: 1 };
        if interleaved {
            Blocks { across, down }
        } else {
            one
        }
    }

    pub(super) fn into_plane(mut self) -> Plane {
        self.plane.repeat_edges();
        self.plane
    }
}

/// One direction of a component.
struct Axis {
    pixels: usize,
    factor: usize,
    factor_max: usize,
    needed: usize,
}

impl Axis {
    fn units(&self) -> usize {
        self.pixels.div_ceil(8 * self.factor_max)
    }

    fn samples(&self) -> usize {
        (self.pixels * self.factor).div_ceil(self.factor_max)
    }

    /// Samples that the picture spans once scaled.
    fn extent(&self, side: usize) -> f64 {
        (self.pixels * self.factor * side) as f64 / (self.factor_max * 8) as f64
    }

    fn enough(&self, side: usize) -> bool {
        (self.samples() * side).div_ceil(8) >= self.needed
    }
}
