//! What must be found, in tantivy's terms.

use tantivy::Term;
use tantivy::query::{
    BooleanQuery, BoostQuery, ConstScoreQuery, Occur, PhraseQuery, Query, TermQuery,
};
use tantivy::schema::{Field, IndexRecordOption};

use super::schema::Fields;
use crate::hits::Request;
use crate::query::{Clause, Phrase};

/// A whole word is worth more than the same letters inside another: about as much as a word that is twice as rare.
const WHOLE_WORD_BOOST: f32 = 2.0;

pub(super) fn translate(request: &Request, fields: Fields) -> BooleanQuery {
    let clauses = request.query.clauses.iter();
    let mut all: Vec<(Occur, Box<dyn Query>)> = clauses
        .map(|found| (Occur::Must, clause(found, fields.text)))
        .collect();
    if !request.types.is_empty() {
        all.push((
            Occur::Must,
            filter(fields.entity_type, request.types.iter()),
        ));
    }
    if let Some(owner) = &request.owner {
        all.push((Occur::Must, filter(fields.owner, [&owner.0])));
    }
    BooleanQuery::new(all)
}

fn clause(clause: &Clause, text: Field) -> Box<dyn Query> {
    let any = one_of(clause.any.iter().map(|found| phrase(found, text)));
    if clause.better.is_empty() {
        return any;
    }
    let mut parts = vec![(Occur::Must, any)];
    for word in &clause.better {
        let boosted = BoostQuery::new(
            term(text, &word.in_index(), IndexRecordOption::WithFreqs),
            WHOLE_WORD_BOOST,
        );
        parts.push((Occur::Should, Box::new(boosted)));
    }
    Box::new(BooleanQuery::new(parts))
}

fn phrase(phrase: &Phrase, text: Field) -> Box<dyn Query> {
    if let [(_, word)] = phrase.terms.as_slice() {
        return term(text, &word.in_index(), IndexRecordOption::WithFreqs);
    }
    let terms = phrase.terms.iter();
    let terms = terms.map(|(place, word)| {
        (
            *place as usize,
            Term::from_field_text(text, &word.in_index()),
        )
    });
    Box::new(PhraseQuery::new_with_offset(terms.collect()))
}

/// Says yes or no and nothing of how well.
fn filter<'v>(field: Field, values: impl IntoIterator<Item = &'v String>) -> Box<dyn Query> {
    let values = values.into_iter();
    let any = one_of(values.map(|value| term(field, value, IndexRecordOption::Basic)));
    Box::new(ConstScoreQuery::new(any, 0.0))
}

fn one_of(queries: impl Iterator<Item = Box<dyn Query>>) -> Box<dyn Query> {
    let mut any: Vec<(Occur, Box<dyn Query>)> =
        queries.map(|query| (Occur::Should, query)).collect();
    match any.pop() {
        Some((_, only)) if any.is_empty() => only,
        Some(last) => {
            any.push(last);
            Box::new(BooleanQuery::new(any))
        }
        None => Box::new(tantivy::query::EmptyQuery),
    }
}

fn term(field: Field, text: &str, record: IndexRecordOption) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, text), record))
}
