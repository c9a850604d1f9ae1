//! A file with manifests of Kubernetes: its documents.

/// The documents of a text, each with the number of lines before it.
pub(super) fn documents(text: &str) -> Vec<(usize, &str)> {
    let (mut documents, mut start, mut first, mut at) = (Vec::new(), 0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let end = at + line.len();
        if line.trim_end() == "---" || line.starts_with("--- ") {
            documents.push((first, text.get(start..at).unwrap_or_default()));
            (start, first) = (end, number + 1);
        }
        at = end;
    }
    documents.push((first, text.get(start..).unwrap_or_default()));
    documents.retain(|(_, document)| !document.trim().is_empty());
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_apart() {
        assert_eq!(documents("a: 1\n---\nb: 2\n"), [(0, "a: 1\n"), (2, "b: 2\n")]);
        assert_eq!(documents("---\n# x\na: 1"), [(1, "# x\na: 1")]);
        assert_eq!(documents("a: |\n  ---\n"), [(0, "a: |\n  ---\n")]);
        assert_eq!(documents("\n"), []);
    }
}
