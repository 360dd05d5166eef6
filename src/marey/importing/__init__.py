"""Networks from the files of others: of Caffe, and of PyTorch."""
