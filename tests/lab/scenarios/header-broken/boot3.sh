. /lab/scenario/runs_on.sh
runs_on 'begins with a byte order mark'
must_not "$provider" check /oem/90_custom.yaml
