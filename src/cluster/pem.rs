//! Certificates in PEM form (RFC 7468): what is accepted under `ca_certs`, and the one form in which it is kept.
//!
//! A certificate is kept as a text of its own, base64 in lines of 64 characters. Base64 that decodes has one spelling, so two such texts are
//! equal if and only if the certificates are.

use std::collections::BTreeSet;
use std::fmt;

use crate::text::base64;

/// How the text of a certificate begins.
const BEGIN: &str = "-----BEGIN ";

/// Why a text gives no certificates. Never holds anything of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// There is a private key in it.
    PrivateKey,
    /// There is no PEM block in it, or one that does not end.
    NotPem,
    /// There is a PEM block in it that is none of a certificate.
    OtherBlock,
    /// A certificate, counted from 1, is not base64.
    Base64(usize),
    /// A certificate, counted from 1, does not have the structure of one.
    Structure(usize),
    /// It is a certificate, but not in PEM form.
    Der,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Problem::PrivateKey => f.write_str("a private key"),
            Problem::NotPem => f.write_str("no whole certificate in PEM form"),
            Problem::OtherBlock => f.write_str("a PEM block other than BEGIN CERTIFICATE"),
            Problem::Base64(number) => write!(f, "a certificate (number {number}) that is not base64"),
            Problem::Structure(number) => write!(f, "a certificate (number {number}) that is cut or something else"),
            Problem::Der => f.write_str("a certificate in DER form"),
        }
    }
}

/// The certificates of a text, each once, in their order; text around them is dropped.
///
/// Fails with the first thing that is wrong: one bad block is not left out in silence.
pub(crate) fn read(text: &str) -> Result<Vec<String>, Problem> {
    // Of any kind and at any place: also in what would be dropped.
    if text.contains("PRIVATE KEY-----") {
        return Err(Problem::PrivateKey);
    }
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for (index, block) in blocks(text).enumerate() {
        let (label, body) = block.ok_or(Problem::NotPem)?;
        if !is_certificate_label(label) {
            return Err(Problem::OtherBlock);
        }
        let body = without_blanks(body);
        // A second spelling of the same bytes would be a second certificate.
        let der = base64::decoded(&body).filter(|it| it.is_canonical).ok_or(Problem::Base64(index + 1))?;
        if !is_certificate(&der.bytes) {
            return Err(Problem::Structure(index + 1));
        }
        let pem = pem(&body);
        if seen.insert(pem.clone()) {
            found.push(pem);
        }
    }
    if found.is_empty() { Err(Problem::NotPem) } else { Ok(found) }
}

/// The same for the content of a file, which may have text of any encoding around its certificates.
pub(crate) fn read_file(bytes: &[u8]) -> Result<Vec<String>, Problem> {
    if is_certificate(bytes) { Err(Problem::Der) } else { read(&String::from_utf8_lossy(bytes)) }
}

/// The certificates of a bundle, in the form that [`read`] gives; whatever else is in it is passed over.
pub(crate) fn in_bundle(bytes: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(bytes);
    let certificates = blocks(&text).flatten().filter(|(label, _)| is_certificate_label(label));
    crate::text::collected(certificates.map(|(_, body)| pem(&without_blanks(body))))
}

/// The PEM blocks of a text: label and body; the last one is `None` if it does not end. A block may stand in one line: YAML folds a text
/// after `>`.
fn blocks(text: &str) -> impl Iterator<Item = Option<(&str, &str)>> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let (_, block) = rest?.split_once(BEGIN)?;
        let parts = block.split_once("-----").and_then(|(label, after)| {
            let (body, after) = after.split_once(&format!("-----END {label}-----"))?;
            Some((label, body, after))
        });
        rest = parts.map(|(_, _, after)| after);
        Some(parts.map(|(label, body, _)| (label, body)))
    })
}

/// The second is an old name of the first (OpenSSL, `PEM_STRING_X509_OLD`). A TRUSTED CERTIFICATE is not one: it has settings behind it.
fn is_certificate_label(label: &str) -> bool {
    matches!(label, "CERTIFICATE" | "X509 CERTIFICATE")
}

fn without_blanks(text: &str) -> String {
    text.split_whitespace().collect()
}

fn pem(body: &str) -> String {
    let mut text = "-----BEGIN CERTIFICATE-----".to_owned();
    for (index, digit) in body.chars().enumerate() {
        if index % 64 == 0 {
            text.push('\n');
        }
        text.push(digit);
    }
    text + "\n-----END CERTIFICATE-----\n"
}

const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// Whether bytes are built like a certificate, to the last one (RFC 5280, 4.1). A key, a request or a list of revoked certificates is not.
fn is_certificate(der: &[u8]) -> bool {
    let certificate = elements(der).unwrap_or_default();
    let [(SEQUENCE, certificate)] = *certificate else { return false };
    let parts = elements(certificate).unwrap_or_default();
    let [(SEQUENCE, signed), (SEQUENCE, _), (BIT_STRING, _)] = *parts else { return false };
    let fields: Vec<u8> = elements(signed).unwrap_or_default().iter().map(|(tag, _)| *tag).collect();
    // Serial number, algorithm, issuer, validity, subject, key; the version before them is left out in the oldest.
    let fields = fields.strip_prefix(&[VERSION]).unwrap_or(&fields);
    fields.starts_with(&[INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE])
}

/// The elements that bytes consist of: tag and content (X.690, 8.1). `None` if they do not end where the bytes do.
fn elements(mut der: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let mut found = Vec::new();
    while let Some((&tag, rest)) = der.split_first() {
        let (&first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        found.push((tag, content));
        der = rest;
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = include_str!("../../testdata/trust/ca-one.pem");
    const TWO: &str = include_str!("../../testdata/trust/ca-two.pem");

    fn body(pem: &str) -> String {
        pem.lines().filter(|line| !line.starts_with("-----")).collect()
    }

    #[test]
    fn certificates_of_a_text_are_kept_in_one_form() {
        let both = Ok(vec![ONE.to_owned(), TWO.to_owned()]);
        for text in [
            format!("{ONE}{TWO}"),
            format!("subject=one\n{ONE}\nsubject=two \u{1}\n  {TWO}the end"),
            format!("{ONE}{TWO}").replace('\n', "\r\n"),
            format!("{ONE}{TWO}").replace('\n', "\n      "),
            // What YAML makes of a text after `>`.
            format!("{ONE}{TWO}").replace('\n', " "),
            format!("-----BEGIN CERTIFICATE-----{}-----END CERTIFICATE-----{TWO}", body(ONE)),
            format!("{ONE}{TWO}").replace("CERTIFICATE", "X509 CERTIFICATE"),
            format!("{ONE}{TWO}{ONE}"),
        ] {
            assert_eq!(read(&text), both, "{text}");
            assert_eq!(read_file(&[b"caf\xe9\n", text.as_bytes()].concat()), both, "{text}");
        }
    }

    #[test]
    fn what_is_no_certificate_is_told_from_one() {
        let cut = body(ONE).get(..400).unwrap().to_owned();
        let block = |label: &str, body: &str| format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
        let request = include_str!("../../testdata/trust/request.pem");
        let trusted = include_str!("../../testdata/trust/trusted.pem");
        for (text, problem) in [
            (String::new(), Problem::NotPem),
            ("/etc/ssl/ca.pem".into(), Problem::NotPem),
            (body(ONE), Problem::NotPem),
            ("-----BEGIN CERTIFICATE-----".into(), Problem::NotPem),
            ("-----BEGIN ".into(), Problem::NotPem),
            (ONE.replace("-----END", "----END"), Problem::NotPem),
            (format!("{ONE}-----BEGIN CERTIFICATE-----\nMIIB"), Problem::NotPem),
            (format!("-----BEGIN CERTIFICATE-----\n{cut}\n{TWO}"), Problem::Base64(1)),
            (block("CERTIFICATE", ""), Problem::Structure(1)),
            (block("CERTIFICATE", "not base64"), Problem::Base64(1)),
            (format!("{ONE}{}", block("CERTIFICATE", "AAA")), Problem::Base64(2)),
            (block("CERTIFICATE", "AAA="), Problem::Structure(1)),
            // Another spelling of AAA=.
            (block("CERTIFICATE", "AAB="), Problem::Base64(1)),
            (block("CERTIFICATE", "A==="), Problem::Base64(1)),
            (block("CERTIFICATE", "===="), Problem::Base64(1)),
            (block("CERTIFICATE", &cut), Problem::Structure(1)),
            (block("CERTIFICATE", &format!("{}AAAA", body(ONE))), Problem::Base64(1)),
            (block("CERTIFICATE", &body(request)), Problem::Structure(1)),
            (block("CERTIFICATE", &body(trusted)), Problem::Structure(1)),
            // The beginning of any private key (RFC 5208) is no certificate, whatever is written around it.
            (block("CERTIFICATE", "MAkCAQAwADAABAA="), Problem::Structure(1)),
            (request.into(), Problem::OtherBlock),
            (trusted.into(), Problem::OtherBlock),
            (format!("{ONE}{}", block("X509 CRL", "AAAA")), Problem::OtherBlock),
            (block("PRIVATE KEY", "AAAA"), Problem::PrivateKey),
            (format!("{ONE}{}", block("RSA PRIVATE KEY", "AAAA")), Problem::PrivateKey),
            (format!("{ONE}-----END ENCRYPTED PRIVATE KEY-----"), Problem::PrivateKey),
        ] {
            assert_eq!(read(&text), Err(problem), "{text}");
            assert!(!problem.to_string().is_empty());
        }
        let der = include_bytes!("../../testdata/trust/ca-one.der");
        assert_eq!(read_file(der), Err(Problem::Der));
        assert_eq!(read_file(der.get(..400).unwrap()), Err(Problem::NotPem));
        assert_eq!(base64::decoded(&body(ONE)).map(|it| it.bytes).as_deref(), Some(&der[..]));
    }

    #[test]
    fn no_bytes_are_taken_for_a_certificate_by_mistake() {
        let der = include_bytes!("../../testdata/trust/ca-one.der");
        assert!(is_certificate(der));
        assert!(!is_certificate(&[&der[..], &[0, 0]].concat()) && !is_certificate(&[&der[..], &der[..]].concat()));
        for end in 0..der.len() {
            assert!(!is_certificate(der.get(..end).unwrap()), "{end}");
        }
        for length in [&[0x80][..], &[0x84, 0xff, 0xff, 0xff, 0xff], &[0x88, 0, 0, 0, 0, 0, 0, 0, 0], &[0x82, 1]] {
            assert_eq!(elements(&[&[SEQUENCE], length].concat()), None);
        }
    }

    #[test]
    fn a_bundle_may_hold_anything_else() {
        let bundle = format!(
            "# caf\u{e9}\n-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n{TWO}-----BEGIN \
             CERTIFICATE-----\n?\n-----END CERTIFICATE-----\n{ONE}-----BEGIN CERTIFICATE-----\n"
        );
        let found = in_bundle(bundle.as_bytes());
        assert_eq!(found.len(), 3);
        assert!(found.contains(ONE) && found.contains(TWO));
    }
}
