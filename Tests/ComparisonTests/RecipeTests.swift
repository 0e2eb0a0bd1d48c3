import Comparison
import Foundation
import Settings
import TestSupport
import Testing

@Test(arguments: Recipes.ofNetworks.filter { $0.kind != "lattice" }.map(\.kind))
func theOverlayOfANetworkSaysWhatItsRecipeDoes(kind: String) throws {
  let overlay = try Configuration.load(file: "\(repositoryRoot)/configs/\(kind).yaml")
  let recipe = try #require(Recipes.ofNetworks.first { $0.kind == kind })
  let own = try Configuration.load(file: nil).overlaid(recipe.settings, place: kind)
  let paths = SettingTable.keys.map(\.path)
  #expect(paths.filter { own.yaml($0) != overlay.yaml($0) } == [], "configs/\(kind).yaml")
}
