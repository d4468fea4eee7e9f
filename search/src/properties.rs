//! Which properties are searched. What is not is in no document: an index cannot tell what it was never told.

use serde::{Deserialize, Serialize};

/// Patterns of property names. `*` stands for any characters, and capitals are as good as small letters: who leaves out
/// `*phone*` means `homePhone` too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Properties {
    /// What is searched.
    pub include: Vec<String>,
    /// What is not, whatever `include` says.
    pub exclude: Vec<String>,
    /// Names that an index may have. Further ones are left out: on OpenSearch each is up to
    /// [`FIELDS_PER_NAME`] fields of the mapping, which every node keeps in memory and which never shrinks.
    pub names_max: usize,
}

/// A property with its value, the value's keyword, and its type.
pub const FIELDS_PER_NAME: usize = 4;

impl Properties {
    /// Whether a property is searched.
    pub fn lists(&self, property: &str) -> bool {
        let property = property.to_lowercase();
        let any = |patterns: &[String]| {
            let mut patterns = patterns.iter();
            patterns.any(|pattern| matches(&pattern.to_lowercase(), &property))
        };
        any(&self.include) && !any(&self.exclude)
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((beginning, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(beginning) else {
        return false;
    };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        // The first place that has it leaves the most for what comes behind.
        let Some(at) = left.find(part) else {
            return false;
        };
        left = &left[at + part.len()..];
    }
    left.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (pattern, names, others) in [
            (
                "title",
                &["title"] as &[&str],
                &["titles", "subtitle", ""] as &[&str],
            ),
            ("*", &["", "title"], &[]),
            ("title*", &["title", "title_ko"], &["subtitle"]),
            ("*phone*", &["phone", "home_phone_2"], &["phon"]),
            ("a*b*a", &["aba", "a_b_b_a"], &["ab", "aa", "ba"]),
            ("*제목", &["제목", "부제목"], &["제목들"]),
            ("aa*a", &["aaa"], &["aa"]),
        ] {
            for name in names {
                assert!(matches(pattern, name), "{pattern} {name}");
            }
            for name in others {
                assert!(!matches(pattern, name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn what_is_excluded_is_so_whatever_is_included_and_however_it_is_written() {
        let properties = Properties {
            include: vec!["*".to_owned()],
            exclude: vec!["*phone*".to_owned()],
            names_max: 200,
        };
        assert!(properties.lists("title"));
        assert!(!properties.lists("homePhone"));
        let none = Properties {
            include: Vec::new(),
            ..properties
        };
        assert!(!none.lists("title"));
    }
}
