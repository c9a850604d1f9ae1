// Package gspt stands in for the module of that name, which is C and hides argv.
package gspt

// SetProcTitle leaves the title as it is: no secret is in the argv of the lab's RKE2.
func SetProcTitle(string) {}
