metaforactl completion fish | source
