import CoreGraphics
import EdgeLogic
import {{module}}

func ask(_ image: CGImage) async throws {
    let model = try await {{module}}.Model.open()
    let answer = try await model.classify(Pixels(image))
    print({{printed}})
}
