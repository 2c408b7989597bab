"""The demo co-op: invented people, real parts. `make demo` plays one campaign from consent to pence."""
