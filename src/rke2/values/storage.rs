//! Snapshots on S3, and a datastore in place of etcd.

use super::view::{Tell, View};
use crate::findings::code::Code;
use crate::rke2::drop_in::Value;
use crate::rke2::options::{self, nearest_of};

/// RKE2 looks at S3 only when a snapshot is uploaded (k3s `pkg/etcd/s3/s3.go`).
pub(super) fn s3(view: &View, tell: &mut Tell) {
    let (main, bucket, secret) = ("etcd-s3", "etcd-s3-bucket", "etcd-s3-config-secret");
    let is_other = |name: &str| name.starts_with("etcd-s3-") && name != secret && name != "etcd-s3-retention";
    let others = || view.all().map(|(spec, _)| spec.name).filter(|name| is_other(name));
    if view.is_unknown(main) {
        return;
    }
    if !view.is_on(main) {
        let first = view.all().map(|(spec, _)| spec.name).find(|name| name.starts_with("etcd-s3-"));
        if let Some(option) = first.filter(|_| view.get(main) != Some(&Value::Bool(false))) {
            let rest = "has no effect, because etcd-s3 is not on, so snapshots stay on this node; write etcd-s3: true";
            tell.warn(Code::S3Unused, option, None, rest.into());
        }
        return;
    }
    if !view.is_given(bucket) && !view.is_given(secret) {
        let rest =
            "is on without etcd-s3-bucket, so no snapshot is ever uploaded; write the bucket, or etcd-s3-config-secret";
        tell.warn(Code::S3Incomplete, main, None, rest.into());
    }
    if view.text(bucket).is_some_and(|it| it.contains('/')) {
        let rest = "is not the name of a bucket, because it has a `/`, so no snapshot is ever uploaded; write the name alone, and \
                    what follows it in etcd-s3-folder";
        tell.warn(Code::S3Incomplete, bucket, None, rest.into());
    }
    if view.is_given(secret)
        && let Some(other) = others().next()
    {
        let rest = format!("has no effect, because {other} is given too; keep one of them");
        tell.warn(Code::S3Unused, secret, None, rest);
    }
    let pair = ["etcd-s3-access-key", "etcd-s3-secret-key"];
    if let [Some(given), None] | [None, Some(given)] =
        pair.map(|name| pair.into_iter().find(|it| *it == name && view.is_given(name)))
    {
        let other = if given == pair[0] { pair[1] } else { pair[0] };
        let rest = format!("is given without {other}, so no snapshot is ever uploaded; write both, or none");
        tell.warn(Code::S3Incomplete, given, None, rest);
    }
}

/// Schemes that no table of one version has, but some versions do.
const OTHERS: [&str; 6] = ["dqlite", "litestream", "memory", "t4", "unix", "unixs"];

/// The URL itself is a secret.
pub(super) fn datastore(view: &View, tell: &mut Tell) {
    let option = "datastore-endpoint";
    let pair = ["datastore-certfile", "datastore-keyfile"];
    for (one, other) in [(pair[0], pair[1]), (pair[1], pair[0])] {
        if view.is_given(one) && !view.is_given(other) {
            let rest =
                format!("is given without {other}, so the datastore is shown no certificate; write both, or none");
            tell.warn(Code::DatastoreIncomplete, one, None, rest);
        }
    }
    if !view.is_given(option) {
        let files = [pair[0], pair[1], "datastore-cafile"];
        if let Some(file) = files.into_iter().find(|name| view.is_given(name)) {
            let rest = "has no effect without datastore-endpoint; write that, or remove it";
            tell.warn(Code::DatastoreIncomplete, file, None, rest.into());
        }
        return;
    }
    if let (Some(text), Some(spec)) = (view.text(option), options::find(option)) {
        let words: Vec<&str> = spec.words(None).collect();
        match text.split_once("://") {
            Some((scheme, _)) if words.contains(&scheme) || OTHERS.contains(&scheme) => {}
            Some((scheme, _)) => {
                let todo = nearest_of(scheme, &words).map_or_else(
                    || format!("begin it with one of {}, then ://", words.join(", ")),
                    |near| format!("begin it with {near}://"),
                );
                tell.error(
                    Code::DatastoreInvalid,
                    option,
                    None,
                    format!("begins with no scheme that RKE2 knows, which does not start; {todo}"),
                );
            }
            None => {
                let rest = "has no scheme, so RKE2 does not start; write one such as https://HOST:2379 or postgres://HOST:5432/rke2";
                tell.error(Code::DatastoreInvalid, option, None, rest.into());
            }
        }
    }
    for off in ["disable-apiserver", "disable-etcd"].into_iter().filter(|name| view.is_on(name)) {
        let rest = format!("does not go with {option}, so RKE2 does not start; remove one of them");
        tell.error(Code::OptionsConflict, off, None, rest);
    }
    for (spec, _) in
        view.all().filter(|(spec, _)| spec.name.starts_with("etcd-") && spec.name != "etcd-disable-snapshots")
    {
        let rest = format!("has no effect, because {option} takes the place of etcd; remove it");
        tell.warn(Code::OptionNoEffect, spec.name, None, rest);
    }
}
