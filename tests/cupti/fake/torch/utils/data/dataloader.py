class _BaseDataLoaderIter:
    def __init__(self, loader):
        self._items = iter(range(len(loader.dataset)))
        self._dataset = loader.dataset

    def __iter__(self):
        return self

    def __next__(self):
        return self._dataset[next(self._items)]


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    pass


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    pass


class DataLoader:
    def __init__(self, dataset):
        self.dataset = dataset

    def __iter__(self):
        return _SingleProcessDataLoaderIter(self)
