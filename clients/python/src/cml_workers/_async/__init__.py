"""The client of the API; `cml_workers._sync` is made of this package."""
