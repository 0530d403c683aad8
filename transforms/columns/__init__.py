"""One kind of value a file: ``Column -> Column``, native expressions only, so that no row ever leaves the JVM."""
