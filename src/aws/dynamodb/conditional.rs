//! Conditional writes and what became of them.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;

use super::attributes::Item;
use super::fault::TableFault;

/// What became of a conditional write.
pub(in crate::aws) enum Changed {
    /// It was made; the item, as the write asks for it.
    Yes(Item),
    /// Its condition did not hold; the item that it did not hold for, if there is one and the write asks for it.
    Refused(Option<Item>),
}

/// Makes a conditional write to an item of `table`.
pub(in crate::aws) async fn change(
    table: &str,
    update: UpdateItemFluentBuilder,
) -> Result<Changed, TableFault> {
    let error = match update.send().await {
        Ok(output) => return Ok(Changed::Yes(output.attributes.unwrap_or_default())),
        Err(error) => error,
    };
    match error.as_service_error() {
        Some(UpdateItemError::ConditionalCheckFailedException(refused)) => {
            Ok(Changed::Refused(refused.item.clone()))
        }
        _ => Err(TableFault::of(table, "UpdateItem", error)),
    }
}
