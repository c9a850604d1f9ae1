//! `cluster.ca_certs`: certificates that the node trusts.

use super::pem::{self, Problem};
use super::reader::{self, OtherType, Reader};
use crate::findings::Instead;
use crate::findings::code::Code;
use crate::text::yaml::Kind;

/// A trusted certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Certificate {
    /// One certificate, in the form that [`pem::read`] gives.
    Pem(String),
    /// The absolute path of a file on the node.
    Path(String),
}

/// Reads the key.
pub(crate) fn read(reader: &mut Reader) -> Vec<Certificate> {
    let Some((_, node)) = reader.get("ca_certs") else { return Vec::new() };
    let Kind::List(items) = &node.kind else {
        let accepted = "a list of PEM texts or absolute paths";
        reader.wrong_type(reader.at("ca_certs"), node, accepted, OtherType::IsLeftOut);
        return Vec::new();
    };
    let mut found = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let at = reader::path("ca_certs").item(index).at(item.line);
        let Some(scalar) = item.scalar().filter(|_| !item.is_null()) else {
            reader.wrong_type(at, item, "a PEM text or an absolute path", OtherType::IsLeftOut);
            continue;
        };
        let text = scalar.text.trim();
        let (code, rest) = match pem::read(text) {
            Ok(read) => {
                found.extend(read.into_iter().map(Certificate::Pem));
                continue;
            }
            Err(Problem::NotPem) if text.starts_with('/') && !text.contains('\n') => {
                found.extend(reader.absolute_path(at, text).map(Certificate::Path));
                continue;
            }
            Err(Problem::PrivateKey) => {
                let rest =
                    "is a private key; write a certificate, and replace the key, because it is no secret any more";
                (Code::CertificatePrivateKey, rest.to_owned())
            }
            Err(Problem::NotPem) => {
                let rest = "is neither a whole certificate in PEM form nor an absolute path; write one of them";
                (Code::CertificateInvalid, rest.to_owned())
            }
            Err(problem) => {
                (Code::CertificateInvalid, format!("holds {problem}; copy the whole certificates in PEM form again"))
            }
        };
        reader.findings.refuse_fresh(code, at, &rest, Instead::LeftOut);
    }
    found
}
