/// What the cascade of parameter randomisation did to a method's maps: how like the trained model's they still are once
/// a part of the model, and every part above it, has lost its training.
public struct CascadeSummary: Codable, Equatable, Sendable {
  public struct Stage: Codable, Equatable, Sendable {
    /// The part that loses its training here.
    public let name: String
    /// Spearman's ρ with the trained model's map, mean and population standard deviation over images; nil where no image
    /// has one.
    public let spearman: Double?
    public let spearmanSD: Double?
    /// The images that have one: a map that is constant or not finite has none.
    public let images: Int

    enum CodingKeys: String, CodingKey {
      case name
      case spearman
      case spearmanSD = "spearman_sd"
      case images
    }

    /// - Parameter values: ρ of each image.
    public init(_ name: String, _ values: [Double?]) {
      self.name = name
      let own = values.compactMap { $0 }
      spearman = mean(own)
      spearmanSD = populationDeviation(own)
      images = own.count
    }
  }

  /// Of which images, for people.
  public let subset: String
  /// From the top.
  public let stages: [Stage]

  public init(subset: String, stages: [Stage]) {
    self.subset = subset
    self.stages = stages
  }

  /// `cascade.csv`: one line an image, with a column a stage; an empty cell where there is no ρ.
  ///
  /// - Parameter values: ρ by stage, then by image.
  public static func csv(imageIDs: [Int], stages: [String], _ values: [[Double?]]) -> String {
    let lines = imageIDs.indices.map { image in
      (["\(imageIDs[image])"] + values.map { stage in stage[image].map { "\($0)" } ?? "" }).joined(separator: ",")
    }
    return ([(["image_id"] + stages).joined(separator: ",")] + lines).joined(separator: "\n") + "\n"
  }
}
