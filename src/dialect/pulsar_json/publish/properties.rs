//! A publish's properties, made a map as Java's.

use std::collections::HashMap;

use crate::dialect::{Rejection, pulsar_json::handler_threw, scratch::StringList};

/// Makes names unique as `LinkedHashMap` does: the first place, the last value. A null value that is left ends the
/// session, as in `TypedMessageBuilderImpl.properties`.
pub(super) fn merge_properties(
    properties: &mut StringList,
    order: &mut Vec<u32>,
) -> Result<(), Rejection<'static>> {
    if !properties.has_nulls() && !has_duplicates(properties, order) {
        return Ok(());
    }
    let mut merged: Vec<(Vec<u8>, Option<Vec<u8>>)> = Vec::new();
    let mut places = HashMap::new();
    for position in (0..properties.len()).step_by(2) {
        let name = properties.get(position).to_vec();
        let value =
            (!properties.is_null(position + 1)).then(|| properties.get(position + 1).to_vec());
        match places.get(&name) {
            Some(&place) => {
                let (_, last): &mut (_, Option<Vec<u8>>) = &mut merged[place];
                *last = value;
            }
            None => {
                places.insert(name.clone(), merged.len());
                merged.push((name, value));
            }
        }
    }
    properties.clear();
    for (name, value) in merged {
        let Some(value) = value else {
            let name = String::from_utf8_lossy(&name);
            return Err(handler_threw(format!(
                "Need Non-Null value for key: {name}"
            )));
        };
        properties.push_with(|text| text.extend_from_slice(&name));
        properties.push_with(|text| text.extend_from_slice(&value));
    }
    Ok(())
}

/// Few names are compared with one another, many are sorted first, so that no message costs a square of its length.
fn has_duplicates(properties: &StringList, order: &mut Vec<u32>) -> bool {
    const FEW: usize = 8;
    let pairs = properties.len() / 2;
    let name = |pair: usize| properties.get(pair * 2);
    if pairs <= FEW {
        return (1..pairs).any(|later| (0..later).any(|earlier| name(earlier) == name(later)));
    }
    order.clear();
    order.extend((0u32..).take(pairs));
    order.sort_unstable_by(|&a, &b| name(a as usize).cmp(name(b as usize)));
    order
        .windows(2)
        .any(|two| name(two[0] as usize) == name(two[1] as usize))
}
