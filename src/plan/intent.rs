//! What a cluster section makes of a node, as far as the guards look at it.

use std::cell::LazyCell;

use crate::cluster::Cluster;
use crate::cluster::token::Token;
use crate::host::Host;
use crate::identity::critical::{self, Critical};
use crate::identity::guards::{self, Intent};
use crate::identity::recall::Known;
use crate::rke2::effective;
use crate::rke2::overrides;

/// What a cluster section makes of a node, for the guards. A file of another author may give what the node became; what it changes is judged where
/// the files are merged, because it may be another one by then.
pub(super) fn of<'a>(host: &'a Host, known: &'a Known, cluster: &'a Cluster) -> Intent<'a> {
    let unit = cluster.role.unit();
    let beside = move || effective::beside(host, unit, cluster.drop_ins()).options;
    let drop_ins = [&cluster.options, &cluster.provider_options];
    let variables = move || overrides::variables_with(host, unit, &cluster.env);
    let critical = move || {
        let mut critical = critical::of(&drop_ins, &cluster.env);
        let before = known.record.as_ref().and_then(|record| record.options.as_ref());
        let differs =
            |before: &&Critical| before.iter().any(|(name, it)| critical.get(name).is_some_and(|now| now != it));
        if let Some(before) = before.filter(differs) {
            let with_files = critical::of(&[&beside()], &variables()).into_iter();
            critical.extend(with_files.filter(|(name, value)| before.get(name) == Some(value)));
        }
        critical
    };
    let has_datastore = move || guards::has_datastore(&beside(), &variables());
    // RKE2 may run with a token that is made of a file's and the section's, which is known where they are merged.
    let is_part = |token: &&str| {
        let is_other = known.record.as_ref().is_some_and(|record| record.has_other_token(Some(token)));
        is_other && effective::names_token(host, unit)
    };
    Intent {
        unit,
        founds: !cluster.role.joins() && cluster.joined.is_none(),
        has_datastore: LazyCell::new(Box::new(has_datastore)),
        critical: LazyCell::new(Box::new(critical)),
        token: cluster.token.as_ref().map(Token::secret).filter(|token| !is_part(token)),
        accept: &cluster.settings.accept,
    }
}
