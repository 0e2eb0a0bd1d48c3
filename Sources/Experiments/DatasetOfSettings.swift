import Dataset
import Settings

extension DatasetOptions {
  /// What the settings say of the data set.
  public init(_ data: Configuration.Data) {
    self.init(root: data.root, classes: data.classes)
    layout = DataLayout(setting: data.layout)
    labels = data.labels
    boxes = boxFiles(setting: data.boxes)
    masks = Masks(setting: data.segmentations)
    skipsUnreadable = data.skipUnreadable
    followsLinks = data.followLinks
  }
}
