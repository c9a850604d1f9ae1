. /lab/scenario/runs_on.sh
runs_on 'has no #cloud-config'
must_not "$provider" check /oem/90_custom.yaml
