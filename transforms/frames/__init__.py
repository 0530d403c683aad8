"""DataFrame in, DataFrame out: the steps of the transform job."""
