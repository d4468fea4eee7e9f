//! What a subscription is about, as clients say it, and what of it makes no sense.

use iyagi_actors::subscription_matcher::graph::GraphModel;
use iyagi_actors::subscription_matcher::matching::Templates;
use iyagi_messages::cursor::Cursor;
use iyagi_messages::ids::{PersonId, SubscriptionId, TemplateId, Timestamp};
use iyagi_messages::predicate::Predicate;
use iyagi_messages::subscription::{Anchor, Subscription, When};
use iyagi_messages::template::Template;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::http::problem::{Kind, Problem};
use crate::http::request::{self, Fields};

/// The template of a subscription that names none.
const TEMPLATE: &str = "subscription";
const FIELDS: [&str; 7] = [
    "owner",
    "anchor",
    "when",
    "template",
    "exclude_self",
    "enabled",
    "expires_at",
];
/// What a subscription keeps for good.
const FIXED: [&str; 3] = ["id", "owner", "effective_after"];
const ANCHORS: [&str; 5] = ["incident", "element", "followed", "owned", "label"];
/// Entries of one list in a condition.
const CONDITION_MAX: usize = 32;

/// All of a subscription but whose it is and since when.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Terms {
    pub(super) anchor: Anchor,
    pub(super) when: When,
    pub(super) template: TemplateId,
    pub(super) exclude_self: bool,
    pub(super) enabled: bool,
    pub(super) expires_at: Option<Timestamp>,
}

impl Terms {
    /// The terms of a subscription.
    pub(super) fn of(subscription: &Subscription) -> Self {
        Self {
            anchor: subscription.anchor.clone(),
            when: subscription.when.clone(),
            template: subscription.template.clone(),
            exclude_self: subscription.exclude_self,
            enabled: subscription.enabled,
            expires_at: subscription.expires_at,
        }
    }

    /// Someone's subscription on these terms.
    pub(super) fn of_person(
        self,
        id: SubscriptionId,
        owner: PersonId,
        effective_after: Cursor,
    ) -> Subscription {
        Subscription {
            id,
            owner,
            anchor: self.anchor,
            when: self.when,
            template: self.template,
            exclude_self: self.exclude_self,
            enabled: self.enabled,
            expires_at: self.expires_at,
            effective_after,
        }
    }

    /// Reads terms from what is left of a request's fields.
    pub(super) fn read(
        mut fields: Fields,
        templates: &Templates,
        model: &GraphModel,
    ) -> Result<Self, Problem> {
        let anchor = read_anchor(fields.required("anchor")?)?;
        check_anchor(&anchor, model)?;
        let when = match fields.optional("when")? {
            Some(when) => read_when(when)?,
            None => When::default(),
        };
        check_when(&when)?;
        let template = fields.optional("template")?;
        let template = template.unwrap_or_else(|| TemplateId::from(TEMPLATE));
        if templates.get(&template).is_none() {
            let hint = meant(templates, &template, |_| true);
            let detail = format!("there is no template `{template}`{hint}");
            return Err(Problem::invalid("template", detail));
        }
        let terms = Self {
            anchor,
            when,
            template,
            exclude_self: fields.optional("exclude_self")?.unwrap_or(true),
            enabled: fields.optional("enabled")?.unwrap_or(true),
            expires_at: fields.optional("expires_at")?,
        };
        fields.end(&FIELDS)?;
        Ok(terms)
    }

    /// These terms with a merge patch applied (RFC 7396). An anchor of another kind replaces the whole anchor.
    pub(super) fn amended(
        &self,
        patch: &Fields,
        templates: &Templates,
        model: &GraphModel,
    ) -> Result<Self, Problem> {
        for (field, change) in patch.iter() {
            if FIXED.contains(&field.as_str()) {
                let detail = format!("`{field}` cannot be changed");
                return Err(Problem::invalid(field, detail));
            }
            if field == "anchor" && change.is_null() {
                return Err(Problem::invalid("anchor", "a subscription has an `anchor`"));
            }
        }
        let mut terms = self.to_json();
        for (field, change) in patch.iter() {
            let kind = change.as_object().and_then(|kinds| kinds.keys().next());
            if field == "anchor" && kind.is_some_and(|kind| terms[field].get(kind).is_none()) {
                terms[field].take();
            }
            merge(&mut terms[field], change);
        }
        // What was set to null is as if it had never been said.
        let mut fields = Map::new();
        if let Value::Object(all) = terms {
            fields.extend(all.into_iter().filter(|(_, value)| !value.is_null()));
        }
        Self::read(Fields::from(fields), templates, model)
    }

    /// Whether they can begin at a moment.
    pub(super) fn check(self, now: Timestamp) -> Result<Self, Problem> {
        if self.expires_at.is_some_and(|at| at <= now) {
            let detail = "`expires_at` is in the past: it is in milliseconds since the epoch";
            return Err(Problem::invalid("expires_at", detail));
        }
        Ok(self)
    }

    fn to_json(&self) -> Value {
        serde_json::json!({
            "anchor": self.anchor,
            "when": self.when,
            "template": self.template,
            "exclude_self": self.exclude_self,
            "enabled": self.enabled,
            "expires_at": self.expires_at,
        })
    }
}

/// A merge patch as RFC 7396 has it.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(changes) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(fields) = target {
        for (name, change) in changes {
            if change.is_null() {
                fields.remove(name);
            } else {
                merge(fields.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
    }
}

/// Refuses what is no default notification.
pub(super) fn known_default(templates: &Templates, id: &TemplateId) -> Result<(), Problem> {
    if templates
        .get(id)
        .is_some_and(|template| template.anchor.is_some())
    {
        return Ok(());
    }
    let hint = meant(templates, id, |template| template.anchor.is_some());
    let detail = format!("there is no default notification `{id}`{hint}");
    Err(Problem::new(Kind::NotFound, detail).with("field", "template"))
}

fn meant(templates: &Templates, id: &TemplateId, which: impl Fn(&Template) -> bool) -> String {
    let known = templates.iter().filter(|template| which(template));
    request::did_you_mean(id.as_str(), known.map(|template| template.id.as_str()))
}

fn read_anchor(value: Value) -> Result<Anchor, Problem> {
    let kinds = value.as_object().map(Map::keys);
    let kinds: Vec<_> = kinds.into_iter().flatten().map(String::as_str).collect();
    let field = match kinds[..] {
        [kind] if ANCHORS.contains(&kind) => format!("anchor.{kind}"),
        [kind] => {
            let hint = request::did_you_mean(kind, ANCHORS.into_iter());
            let detail = format!("there is no anchor `{kind}`{hint}");
            return Err(Problem::invalid("anchor", detail));
        }
        _ => {
            let detail = format!(
                "`anchor` is an object of one of {}, such as {{\"element\": {{\"id\": \"story-7\"}}}}",
                ANCHORS.join(", ")
            );
            return Err(Problem::invalid("anchor", detail));
        }
    };
    parsed(&field, value)
}

fn read_when(value: Value) -> Result<When, Problem> {
    let Value::Object(mut fields) = value else {
        return Err(Problem::invalid("when", "`when` is an object"));
    };
    let predicates = match fields.remove("where") {
        None => Vec::new(),
        Some(Value::Array(predicates)) => predicates,
        Some(_) => return Err(Problem::invalid("when.where", "`when.where` is a list")),
    };
    let mut when: When = parsed("when", Value::Object(fields))?;
    for (nth, predicate) in predicates.into_iter().enumerate() {
        when.predicates
            .push(parsed(&format!("when.where[{nth}]"), predicate)?);
    }
    Ok(when)
}

fn parsed<T: DeserializeOwned>(field: &str, value: Value) -> Result<T, Problem> {
    serde_json::from_value(value)
        .map_err(|error| Problem::invalid(field, format!("`{field}` cannot be read: {error}")))
}

fn check_anchor(anchor: &Anchor, model: &GraphModel) -> Result<(), Problem> {
    match anchor {
        Anchor::Incident { vertex, .. } if vertex.as_str().starts_with('@') => {
            Err(Problem::invalid(
                "anchor.incident.vertex",
                "`@me` is for templates; name the vertex itself",
            ))
        }
        Anchor::Incident { vertex, .. } => {
            request::check_text("anchor.incident.vertex", vertex.as_str())
        }
        Anchor::Element { id } => request::check_text("anchor.element.id", id.as_str()),
        Anchor::Followed { via, .. } if !model.follow_labels.contains(via) => {
            let known = model.follow_labels.iter().map(String::as_str);
            let hint = request::did_you_mean(via, known);
            let detail = format!("nobody follows by edges with the label `{via}`{hint}");
            Err(Problem::invalid("anchor.followed.via", detail))
        }
        Anchor::Followed { .. } | Anchor::Owned { .. } => Ok(()),
        Anchor::Label { label } => request::check_text("anchor.label.label", label),
    }
}

fn check_when(when: &When) -> Result<(), Problem> {
    let lists = [
        ("when.labels", &when.labels),
        ("when.other_labels", &when.other_labels),
        ("when.keys", &when.keys),
    ];
    check_count("when.change", when.change.len())?;
    check_count("when.where", when.predicates.len())?;
    for (field, list) in lists {
        check_count(field, list.len())?;
        for text in list {
            request::check_text(field, text)?;
        }
    }
    for (nth, predicate) in when.predicates.iter().enumerate() {
        check_predicate(&format!("when.where[{nth}]"), predicate)?;
    }
    Ok(())
}

fn check_count(field: &str, count: usize) -> Result<(), Problem> {
    if count > CONDITION_MAX {
        let detail = format!("`{field}` has more than {CONDITION_MAX} entries");
        return Err(Problem::invalid(field, detail));
    }
    Ok(())
}

fn check_predicate(field: &str, predicate: &Predicate) -> Result<(), Problem> {
    request::check_text(&format!("{field}.key"), &predicate.key)?;
    let field = format!("{field}.value");
    predicate
        .check()
        .map_err(|error| Problem::invalid(&field, format!("`{field}`: {error}")))?;
    let values = match &predicate.value {
        Value::Array(values) => values.as_slice(),
        value => std::slice::from_ref(value),
    };
    let mut texts = values.iter().filter_map(Value::as_str);
    if texts.any(|text| text.len() > request::TEXT_BYTES_MAX) {
        let detail = format!("`{field}` has more than 1,024 bytes");
        return Err(Problem::invalid(&field, detail));
    }
    Ok(())
}
