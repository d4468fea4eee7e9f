//! A causal trace as a picture: a lane for each actor, an arrow from each cause to what it led to.
//!
//! Time runs to the right by order, not by the clock: a push may wait for hours between two milliseconds. The change log that
//! a trace begins with and the push gateway that it ends at have lanes as well, though they write no events.

use std::collections::HashMap;
use std::fmt::Write;

use askama::Template;
use iyagi_messages::event::Event;
use iyagi_messages::fact::Fact;
use iyagi_messages::ids::EventId;

use super::journal::Step;

/// Events in a picture; of more, nobody sees which led to which.
const STEPS_MAX: usize = 60;
/// Sizes in units of the picture.
const COLUMN: usize = 44;
const LANE: usize = 52;
const LEFT: usize = 150;
const TOP: usize = 30;
const RADIUS: usize = 8;

const CHANGE_LOG: &str = "change log";
const GATEWAY: &str = "push gateway";

/// The picture.
#[derive(Template)]
#[template(path = "lanes.html")]
pub(super) struct Lanes {
    width: usize,
    height: usize,
    rows: Vec<Lane>,
    arrows: Vec<String>,
    dots: Vec<Dot>,
}

struct Lane {
    name: String,
    y: usize,
}

/// An event, or the start or end of a trace outside of the journal.
struct Dot {
    x: usize,
    y: usize,
    says: String,
    href: Option<String>,
    chosen: bool,
    outside: bool,
}

impl Lanes {
    /// Of the first steps of a trace.
    pub(super) fn of(steps: &[Step]) -> Self {
        let mut drawing = Drawing::default();
        for step in steps.iter().take(STEPS_MAX) {
            drawing.step(step);
        }
        drawing.finish()
    }
}

#[derive(Default)]
struct Drawing {
    lanes: Vec<String>,
    dots: Vec<Dot>,
    arrows: Vec<(usize, usize)>,
    /// The dot of each event.
    of_event: HashMap<EventId, usize>,
}

impl Drawing {
    fn step(&mut self, step: &Step) {
        let event = &step.event;
        let cause = event
            .cause
            .and_then(|cause| self.of_event.get(&cause).copied());
        let cause = cause.or_else(|| {
            let commit = of_commit(event)?;
            let says = format!("commit {commit}");
            Some(self.dot(CHANGE_LOG, says, None, false))
        });
        let href = Some(step.href.clone());
        let dot = self.dot(&step.actor, step.kind.clone(), href, step.chosen);
        self.of_event.insert(event.id, dot);
        self.arrows.extend(cause.map(|cause| (cause, dot)));
        if let Fact::PushAccepted(accepted) = &event.fact {
            let says = format!("taken as {}", accepted.gateway_id);
            let taken = self.dot(GATEWAY, says, None, false);
            self.arrows.push((dot, taken));
        }
    }

    fn dot(&mut self, lane: &str, says: String, href: Option<String>, chosen: bool) -> usize {
        let place = self.lanes.iter().position(|known| known == lane);
        let place = place.unwrap_or_else(|| {
            self.lanes.push(lane.to_owned());
            self.lanes.len() - 1
        });
        self.dots.push(Dot {
            x: LEFT + self.dots.len() * COLUMN + COLUMN / 2,
            y: TOP + place * LANE,
            says,
            outside: href.is_none(),
            href,
            chosen,
        });
        self.dots.len() - 1
    }

    fn finish(self) -> Lanes {
        let arrows = self.arrows.iter().map(|(from, to)| {
            let (from, to) = (&self.dots[*from], &self.dots[*to]);
            arrow((from.x, from.y), (to.x, to.y))
        });
        let lanes = self.lanes.iter().enumerate();
        Lanes {
            width: LEFT + self.dots.len() * COLUMN + COLUMN / 2,
            height: TOP + self.lanes.len() * LANE,
            arrows: arrows.collect(),
            rows: lanes
                .map(|(place, name)| Lane {
                    name: name.clone(),
                    y: TOP + place * LANE,
                })
                .collect(),
            dots: self.dots,
        }
    }
}

/// The commit of a trace that begins with one.
fn of_commit(event: &Event) -> Option<&str> {
    event
        .corr
        .strip_prefix("commit:")
        .filter(|_| event.cause.is_none())
}

/// A curve that leaves to the right and arrives from the left, short of the dots themselves.
fn arrow((from_x, from_y): (usize, usize), (to_x, to_y): (usize, usize)) -> String {
    let (from_x, to_x) = (from_x + RADIUS, to_x.saturating_sub(RADIUS + 4));
    let bend = (to_x.saturating_sub(from_x) / 2).max(10);
    let mut path = String::new();
    write!(
        path,
        "M{from_x} {from_y}C{} {from_y} {} {to_y} {to_x} {to_y}",
        from_x + bend,
        to_x.saturating_sub(bend),
    )
    .expect("writing to a String cannot fail");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_ends_before_the_dot_it_points_at() {
        assert_eq!(arrow((100, 30), (200, 82)), "M108 30C148 30 148 82 188 82");
    }
}
