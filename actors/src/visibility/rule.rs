//! The rule, apart from where its facts come from: those who read ask the graph as it is now, those who are told are judged
//! by the graph that the matcher keeps.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Who may see a thing beside its owner, the widest first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Visibility {
    /// Everybody who is signed in.
    Public,
    /// Those who follow its owner.
    Followers,
    /// Nobody.
    Private,
}

/// Something that is somebody's. Whoever asks says what people are known by: an id, or its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing<P> {
    /// Whose it is; nobody's if that is not known.
    owner: Option<P>,
    /// Who else may see it.
    visibility: Visibility,
}

/// What a vertex is, as far as that decides whose it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VertexKind {
    /// A person.
    Person,
    /// Anything else.
    Other,
    /// Nothing is known of it.
    Unknown,
}

/// How a viewer and an owner stand to each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tie {
    /// The viewer follows the owner.
    pub follows: bool,
    /// One of them has blocked the other.
    pub blocked: bool,
}

impl Visibility {
    /// What the values of a thing's property mean; nothing if it has none.
    ///
    /// A word that is not known hides the thing: it may have been meant to. Of several the narrowest counts, because a
    /// property that Gremlin wrote has a set of values.
    pub fn said<W: AsRef<str>>(words: impl IntoIterator<Item = W>) -> Option<Self> {
        let said = words.into_iter().map(|word| Self::named(word.as_ref()));
        said.max()
    }

    fn named(word: &str) -> Self {
        match word {
            "public" => Self::Public,
            "followers" => Self::Followers,
            _ => Self::Private,
        }
    }
}

impl<P: PartialEq> Thing<P> {
    /// What a vertex stands for, by who made it and what it says of itself.
    ///
    /// A person whom nobody made is their own, and meets everybody unless they say otherwise. Of what is not known, and says
    /// nothing, nothing is shown.
    pub fn of_vertex(
        id: P,
        kind: VertexKind,
        maker: Option<P>,
        said: Option<Visibility>,
        default: Visibility,
    ) -> Self {
        let (owner, unsaid) = match (kind, maker) {
            (VertexKind::Person, None) => (Some(id), Visibility::Public),
            (VertexKind::Unknown, maker) => (maker, Visibility::Private),
            (_, maker) => (maker, default),
        };
        Self {
            owner,
            visibility: said.unwrap_or(unsaid),
        }
    }

    /// Something of an owner's, or of nobody's.
    pub fn new(owner: Option<P>, visibility: Visibility) -> Self {
        Self { owner, visibility }
    }

    /// Whether it takes a follower to see it, unless it is their own.
    pub fn is_for_followers(&self) -> bool {
        self.visibility == Visibility::Followers
    }

    /// The owner whose tie to the viewer decides; nobody if it is decided without.
    pub fn decided_by(&self, viewer: &P) -> Option<&P> {
        self.owner.as_ref().filter(|owner| *owner != viewer)
    }

    /// The rule. Of a thing that is nobody's, nothing is shown but what is public.
    pub fn is_visible(&self, viewer: &P, tie: Tie) -> bool {
        if self.owner.as_ref() == Some(viewer) {
            return true;
        }
        match self.visibility {
            _ if tie.blocked => false,
            Visibility::Public => true,
            Visibility::Followers => self.owner.is_some() && tie.follows,
            Visibility::Private => false,
        }
    }
}

/// Whether a vertex is known to be nobody's and to say nothing. At the end of an edge it hides nothing, because there is nobody
/// from whom to hide it.
pub fn is_common<P>(
    kind: VertexKind,
    maker: impl FnOnce() -> Option<P>,
    said: impl FnOnce() -> Option<Visibility>,
) -> bool {
    kind == VertexKind::Other && maker().is_none() && said().is_none()
}
