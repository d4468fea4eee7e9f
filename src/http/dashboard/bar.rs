//! How full something is, as a bar.

use askama::Template;

use super::text;
use super::verdict::Grade;

/// From here on something is as good as full.
const FULL_PERCENT: u64 = 80;
/// From here on it fills up.
const FILLING_PERCENT: u64 = 50;

/// So much of so much. A drawing, because styles of its own are what no element may have here.
#[derive(Template)]
#[template(
    source = r#"<span class="bar {{ grade.as_str() }}"><svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true"><rect width="100" height="6" rx="3"/><rect class="part" width="{{ percent }}" height="6" rx="3"/></svg><span>{{ text::number(*of) }}<small> / {{ text::number(*most) }}</small></span></span>"#,
    ext = "html"
)]
pub(super) struct Bar {
    of: u64,
    most: u64,
    percent: u64,
    grade: Grade,
}

impl Bar {
    pub(super) fn of(of: u64, most: u64) -> Self {
        let percent = (of * 100 / most.max(1)).min(100);
        Self {
            of,
            most,
            percent,
            grade: match percent {
                FULL_PERCENT.. => Grade::Bad,
                FILLING_PERCENT.. => Grade::Fair,
                _ => Grade::Good,
            },
        }
    }
}
