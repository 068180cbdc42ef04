import warnings

# said once a process by matrices in compressed rows, which are all that is used of them here
warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state", UserWarning)
