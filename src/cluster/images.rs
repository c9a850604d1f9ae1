//! `cluster.import_local_images` and `cluster.local_images_path`: where local images are imported from, if they are.

use super::reader::{OtherType, Reader};
use crate::findings::Instead;
use crate::findings::code::Code;
use crate::rke2::drop_in;
use crate::text::escape::quoted;
use crate::text::paths::is_absolute;
use crate::text::yaml::Yaml11;

/// Where local images are looked for if nothing else is said.
pub(crate) const DEFAULT: &str = "/opt/content/images";

/// Reads both keys.
pub(crate) fn read(reader: &mut Reader) -> Option<String> {
    let import = reader.scalar("import_local_images", "true or false", OtherType::IsLeftOut).is_some_and(|given| {
        let read = Yaml11::Text(given.scalar.text.clone());
        drop_in::boolean(&read).unwrap_or_else(|| {
            let rest = format!("{} is neither true nor false; write one of them", quoted(&given.scalar.text));
            reader.findings.refuse_fresh(Code::BooleanInvalid, given.at, &rest, Instead::LeftOut);
            false
        })
    });
    let accepted = "an absolute path";
    if !import {
        // Nobody uses it, so it is in nobody's way.
        if let Some((_, node)) = reader.get("local_images_path")
            && !node.scalar().is_some_and(|it| it.text.trim().is_empty() || is_absolute(&it.text))
        {
            let rest = format!(
                "is not {accepted}, but not used either, because images are not imported; correct or remove it"
            );
            reader.findings.warn(Code::PathInvalid, reader.at("local_images_path"), &rest);
        }
        return None;
    }
    match reader.filled("local_images_path", accepted, OtherType::IsLeftOut) {
        Some(given) => reader.absolute_path(given.at, &given.scalar.text),
        None => Some(DEFAULT.to_owned()),
    }
}
