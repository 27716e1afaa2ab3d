import torch

from barycode.training.autoencoders.adversarial import Adversary, hinge


def test_hinge_by_hand():
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([-3.0, 1.0])
    assert hinge(real, fake) == 0.5 * ((0 + 1) / 2 + (0 + 2) / 2)


def test_the_adversarial_pull_is_a_share_of_the_reconstructions():
    torch.manual_seed(0)
    adversary = Adversary(share=0.4)
    last = torch.randn(3, 3, requires_grad=True)
    fake = torch.einsum("dc,bchw->bdhw", last, torch.rand(2, 3, 16, 16))
    reconstruction = fake.square().mean()
    added = adversary.generator_loss(reconstruction, fake, last)
    pulls = [torch.autograd.grad(term, last, retain_graph=True)[0].norm() for term in (added, reconstruction)]
    torch.testing.assert_close(pulls[0], 0.4 * pulls[1], rtol=1e-3, atol=0)


def test_the_discriminator_learns_to_tell_light_from_dark():
    torch.manual_seed(0)
    adversary = Adversary(learning_rate=1e-3)
    real, fake = torch.rand(4, 3, 16, 16) / 2 + 0.5, torch.rand(4, 3, 16, 16) / 2
    for _ in range(15):
        adversary.learn(real, fake)
    assert adversary.discriminator(real).mean() > adversary.discriminator(fake).mean() + 0.5
