//! What a person sees of their inbox, and how much of it they have not read.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use iyagi_messages::ids::{PersonId, Pos, PushId, TemplateId, Timestamp};
use iyagi_messages::template::default_link;
use serde::Serialize;
use thiserror::Error;
use utoipa::ToSchema;

use super::entry::{Entry, Noted, View};
use crate::ports::{GraphFault, Inbox, InboxFault};
use crate::projections::Projections;
use crate::push_sender::rendering::{Names, link_to};
use crate::push_sender::texts::{Texts, Values};
use crate::subscription_matcher::matching::Templates;
use crate::visibility::{Sight, Viewer};

/// Entries that are read at once while looking for those that are shown.
const PAGE: usize = 100;
/// Entries whose names are looked up at the same time.
const LOOK_UPS: usize = 16;

/// Reads inboxes through the gates, in the words of the person's language.
pub struct InboxReader {
    /// Where they are kept.
    pub store: Arc<dyn Inbox>,
    /// Whom people block and mute, and their language.
    pub projections: Arc<Projections>,
    /// What they may still be shown of what they were told.
    pub sight: Arc<Sight>,
    /// Names and titles for the texts.
    pub names: Arc<Names>,
    /// What pushes are matched by.
    pub templates: Arc<Templates>,
    /// The templates' texts.
    pub texts: Arc<Texts>,
}

/// Some of a person's entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Newest first.
    pub entries: Vec<Shown>,
    /// Ask again before this position for more.
    pub next: Option<Pos>,
}

/// An entry as its person sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = InboxEntry)]
pub struct Shown {
    /// What the phone knows it by, as `tag` and `apns-collapse-id`.
    pub id: PushId,
    /// Where it stands among the others; higher is newer.
    pub position: Pos,
    /// When its newest change was requested.
    pub at: Timestamp,
    /// The kind of notification.
    pub template: TemplateId,
    /// The template's category.
    pub category: String,
    /// True if its person may not see any more what it tells of: nothing is said of that.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    #[schema(required = false)]
    pub withheld: bool,
    /// First line; absent if it is withheld, or if the template is no longer configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Second line; absent if it is withheld, or if the template is no longer configured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// Where a tap leads.
    pub link: String,
    /// Who did it last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<Thing>,
    /// What it was done to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<Thing>,
    /// The property that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// How many notifications it tells of.
    pub count: u32,
    /// How many people did it besides the actor.
    pub others: u32,
    /// When it was marked as read; absent if it is unread.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
}

/// A person or a thing, by id and by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Thing {
    /// The vertex.
    pub id: String,
    /// Its name or title; the id if it has none.
    pub name: String,
}

/// Why an inbox cannot be shown.
#[derive(Debug, Clone, Error, PartialEq, Eq)]
pub enum ReadFault {
    /// It cannot be read.
    #[error(transparent)]
    Inbox(#[from] InboxFault),
    /// The graph does not tell the names.
    #[error(transparent)]
    Graph(#[from] GraphFault),
}

impl InboxReader {
    /// At most `limit` entries before a position, newest first.
    pub async fn page(
        &self,
        person: &PersonId,
        before: Option<Pos>,
        unread_only: bool,
        limit: usize,
    ) -> Result<Page, ReadFault> {
        let mut seen = Vec::new();
        let mut place = before;
        let mut next = None;
        'pages: loop {
            let entries = self.store.page(person, place, unread_only, PAGE).await?;
            let last = entries.len() < PAGE;
            let wishes = self.projections.wishes();
            for entry in entries {
                if entry.seen_by(person, &wishes).is_none() {
                    place = Some(entry.pos);
                    continue;
                }
                // There is a next page only if there is something on it.
                if seen.len() == limit {
                    next = place;
                    break 'pages;
                }
                place = Some(entry.pos);
                seen.push(entry);
            }
            if last {
                break;
            }
        }
        let shown = stream::iter(&seen)
            .map(|entry| self.show(person, entry))
            .buffered(LOOK_UPS)
            .try_filter_map(|shown| async move { Ok(shown) })
            .try_collect();
        Ok(Page {
            entries: shown.await?,
            next,
        })
    }

    /// How many unread entries a person has, of those that they see.
    pub async fn unread(&self, person: &PersonId) -> Result<u64, InboxFault> {
        if !self.projections.wishes().may_silence(person) {
            return self.store.unread(person).await;
        }
        let (mut unread, mut place) = (0, None);
        loop {
            let entries = self.store.page(person, place, true, PAGE).await?;
            let wishes = self.projections.wishes();
            let seen = entries
                .iter()
                .filter(|entry| entry.seen_by(person, &wishes).is_some());
            unread += seen.count() as u64;
            match entries.last() {
                Some(last) if entries.len() == PAGE => place = Some(last.pos),
                _ => return Ok(unread),
            }
        }
    }

    /// An entry in its person's language; nothing if they are not to see it.
    pub async fn show(
        &self,
        person: &PersonId,
        entry: &Entry,
    ) -> Result<Option<Shown>, GraphFault> {
        let (view, locale) = {
            let wishes = self.projections.wishes();
            let Some(view) = entry.seen_by(person, &wishes) else {
                return Ok(None);
            };
            let wished = wishes.of(person).and_then(|wished| wished.locale.clone());
            (view, wished.unwrap_or_else(|| entry.content.locale.clone()))
        };
        let View {
            newest,
            count,
            others,
        } = view;
        let withheld = Shown {
            id: entry.id,
            position: entry.pos,
            at: newest.at,
            template: entry.content.template.clone(),
            category: entry.content.category.clone(),
            withheld: true,
            title: None,
            body: None,
            link: default_link(),
            actor: None,
            subject: None,
            key: None,
            count,
            others,
            read_at: entry.read.map(|read| read.at),
        };
        if !self.may_show(person, newest).await? {
            return Ok(Some(withheld));
        }
        let actor = match &newest.actor {
            Some(actor) => {
                let id = actor.clone().into();
                let name = self.names.name_of(&id, newest.at).await?;
                Some(Thing::named(id.to_string(), name))
            }
            None => None,
        };
        let subject = match &newest.subject {
            Some(subject) => {
                let title = self.names.title_or_name_of(subject, newest.at).await?;
                Some(Thing::named(subject.to_string(), title))
            }
            None => None,
        };
        let name = |thing: &Option<Thing>| thing.as_ref().map(|thing| thing.name.clone());
        let values = Values {
            actor: name(&actor).unwrap_or_default(),
            actor_id: actor
                .as_ref()
                .map_or_else(String::new, |actor| actor.id.clone()),
            subject: newest
                .subject
                .as_ref()
                .map_or_else(String::new, ToString::to_string),
            title: name(&subject).unwrap_or_default(),
            key: newest.key.clone().unwrap_or_default(),
            count,
            others,
        };
        let template = self.templates.get(&entry.content.template);
        let texts = template.and_then(|template| self.texts.fill(template, &locale, &values));
        let (title, body) = texts.unzip();
        let link = template.map_or_else(default_link, |template| link_to(template, &values));
        Ok(Some(Shown {
            withheld: false,
            title,
            body,
            link,
            actor,
            subject,
            key: newest.key.clone(),
            ..withheld
        }))
    }

    /// Whether a person may still see what they were told of.
    async fn may_show(&self, person: &PersonId, noted: &Noted) -> Result<bool, GraphFault> {
        let viewer = Viewer {
            person,
            is_admin: false,
        };
        let (actor, subject) = (noted.actor.as_ref(), noted.subject.as_ref());
        let mut look = self.sight.of(viewer);
        look.sees_both(actor, subject, noted.of_deletion).await
    }
}

impl Thing {
    fn named(id: String, name: Option<String>) -> Self {
        let name = name.unwrap_or_else(|| id.clone());
        Self { id, name }
    }
}
